"""The configuration: the stages' settings, one section each.

Later sources win: `configs/<preset>.yaml`, the file of `--config`, `--set a.b=c`, then the other options.
Relative paths count from the current folder, whoever names them; the configuration holds absolute ones.
"""

import difflib
import math
import reprlib
import typing
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

import stages
from models.errors import InputError
from models.files import read_bounded
from pipeline.bodies import body_file
from pipeline.paths import absolute
from stages.base import Settings, Stage

Key = tuple[str, ...]
Values = dict[str, Any]
Origins = dict[Key, str]

PRESETS = resources.files("configs")
# The command line's own options, and the keys that each stands for.
OPTIONS: dict[str, tuple[str, ...]] = {
    "device": ("detect.device", "poses.device", "masks.device", "depth.device", "optimize.device"),
    "poses": ("poses.file",),
    "masks": ("masks.file",),
    "depth": ("depth.file",),
    "person": ("detect.person",),
    "height": ("poses.height", "optimize.height"),
    "body": ("poses.body", "optimize.body", "export.body"),
    "focal": ("frames.focal",),
}
_DEEPEST = 8  # of nested keys that are looked at
_LARGEST = 2**18  # bytes of a configuration file; default.yaml has 6,000
_MOST_KEYS = 10_000  # of a mapping, what it merges written out
_MERGE = "tag:yaml.org,2002:merge"


_MOST_LISTED = 12  # possible keys in a message


class _Brief(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if x.bit_length() < 1000 else "a number of very many digits"


_brief = _Brief()
_brief.maxlevel = 2
_LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def schema() -> type[Settings]:
    """The model of the whole configuration: a section for every stage of `stages.STAGES`."""
    return _schema(tuple(stages.STAGES))


@lru_cache
def _schema(table: tuple[Stage, ...]) -> type[Settings]:
    sections: dict[str, Any] = {
        stage.name: (stage.settings, Field(default_factory=stage.settings)) for stage in table
    }
    return create_model("Config", __base__=Settings, **sections)


def keys(model: type[BaseModel], prefix: Key = ()) -> dict[Key, FieldInfo]:
    """Every key of a model with its field, sections and nested models included."""
    found: dict[Key, FieldInfo] = {}
    for name, field in model.model_fields.items():
        found[*prefix, name] = field
        if nested := _model(field.annotation):
            found |= keys(nested, (*prefix, name))
    return found


def _model(annotation: Any) -> type[BaseModel] | None:
    candidates = (annotation, *typing.get_args(annotation))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def presets() -> list[str]:
    """The names of the presets that ship with the package."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in PRESETS.iterdir() if entry.name.endswith(".yaml")
    )


def load(
    video: Path,
    preset: str = "default",
    file: Path | None = None,
    assignments: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> Settings:
    """The configuration of one run.

    Args:
        video: the clip, `frames.video`.
        preset: a name of `presets()`.
        file: YAML of the user's with any of the keys.
        assignments: `section.key=value` each, the value in YAML.
        options: values by the names of `OPTIONS`; None where one was not given.

    Raises:
        InputError: a source cannot be read, a key is unknown or a value bad; names them all.
    """
    values: Values = {}
    origins: Origins = {}
    sources = [_preset(preset)]
    if file is not None:
        sources.append(_file(file))
    sources += [_assignment(text) for text in assignments]
    for option, value in (options or {}).items():
        if value is not None:
            sources += [_nested(list(key), value, f"--{option}") for key in _option_keys(option)]
    sources.append(_nested(["frames", "video"], str(video), "VIDEO"))
    for source, origin in sources:
        values = _merged(values, _sections(source, origin))
        origins |= origin
    return _validated(_with_bodies(values), origins)


def _option_keys(option: str) -> list[Key]:
    """The keys that an option stands for, of the stages that there are."""
    return [key for name in OPTIONS[option] if (key := tuple(name.split("."))) in keys(schema())]


def parsed(values: Mapping[str, Any]) -> Settings:
    """The configuration from its own JSON-able values, as a workspace keeps them.

    Raises:
        ValidationError: they do not fit the schema, as when another version wrote them.
    """
    return schema().model_validate(values)


def _validated(values: Values, origins: Origins) -> Settings:
    problems = _truth_values(values, origins)
    try:
        config = schema().model_validate(values)
    except ValidationError as error:
        problems += _problems(error, origins)
    if problems:
        raise InputError(
            "The configuration is not usable:\n" + "\n".join(problems),
            "configs/default.yaml lists every key with its meaning.",
        )
    return schema().model_validate(_absolute(config.model_dump()))


def _with_bodies(values: Values) -> Values:
    """The values with the files of bodies that are given by name."""
    for key in _option_keys("body"):
        body = _value(values, key)
        if isinstance(body, str | Path):
            values = _merged(values, _nested(list(key), body_file(Path(body)), "")[0])
    return values


def _truth_values(values: Values, origins: Origins) -> list[str]:
    """One line for every number that is true or false, which Python would take for 1 and 0."""
    return [
        f"  {'.'.join(key)} ({_origin(key, origins)}): must be a number, not {_shown(value)}{_allowed(field)}"
        for key, field in keys(schema()).items()
        if isinstance(value := _value(values, key), bool) and {int, float} & set(_parts(field.annotation))
    ]


def _value(values: Any, key: Key) -> Any:
    for name in key:
        values = values.get(name) if isinstance(values, dict) else None
    return values


def _absolute(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _absolute(inner) for name, inner in value.items()}
    return absolute(value) if isinstance(value, Path) else value


def _sections(source: Values, origins: Origins) -> Values:
    """The source, its empty sections left out; one that holds no keys would hide what others say."""
    for name, value in source.items():
        if name in schema().model_fields and not isinstance(value, (dict, type(None))):
            raise InputError(
                f"{name} ({origins[name,]}) is a section with keys of its own, not {_shown(value)}.",
                f"Set one of them: {_names(_model(schema().model_fields[name].annotation))}.",
            )
    return {name: value for name, value in source.items() if value is not None}


def _names(model: type[BaseModel] | None) -> str:
    return ", ".join(model.model_fields) if model else ""


def _merged(base: Values, over: Values) -> Values:
    merged = dict(base)
    for name, value in over.items():
        inner = merged.get(name)
        merged[name] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def _preset(name: str) -> tuple[Values, Origins]:
    if name not in presets():
        raise InputError(
            f"There is no preset {name!r}{closest(name, presets())}", _list("Presets", presets())
        )
    return _parsed(PRESETS.joinpath(f"{name}.yaml").read_text("utf-8"), f"{name}.yaml")


def _file(path: Path) -> tuple[Values, Origins]:
    path = absolute(path)
    try:
        text = read_bounded(path, _LARGEST).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file in UTF-8"
        raise InputError(f"The configuration file {path} cannot be read: {reason}.") from error
    return _parsed(text, str(path))


def _parsed(text: str, name: str) -> tuple[Values, Origins]:
    """A YAML text's values, and the line of every key."""
    values, node = _yaml(text, name)
    if not isinstance(values, dict):
        raise InputError(
            f"{name} holds no keys but {_shown(values)}.", "Write `section:` with `key: value` below."
        )
    return values, {key: f"{name}:{line}" for key, line in _lines(node)}


def _yaml(text: str, name: str) -> tuple[Any, yaml.Node | None]:
    """What a YAML text stands for, and its nodes; {} where it is empty."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node and _most_merged(node, {}) > _MOST_KEYS:
            raise InputError(f"{name} merges (`<<`) more than {_MOST_KEYS} keys.")
        return (loader.construct_document(node) if node else {}), node
    except RecursionError as error:
        raise InputError(f"{name} is nested too deeply.") from error
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError) as error:
        # Beside YAML's own: a date or a number that cannot be, a tag on something else than it is for.
        raise InputError(f"{_place(error, name)} is not valid YAML: {_reason(error)}.") from error


def _place(error: Exception, name: str) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"{name}:{mark.line + 1}" if mark else name


def _reason(error: Exception) -> str:
    return getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)


def _most_merged(node: yaml.Node, sizes: dict[int, float]) -> float:
    """The keys of the largest mapping at or below a node once its merges (`<<`) are written out.

    Each level of them may double what is below; one that merges itself is infinite.
    """
    if id(node) in sizes:
        return sizes[id(node)]
    sizes[id(node)] = 0.0  # an alias within what it stands for is no harm by itself
    inner = node.value if isinstance(node, yaml.CollectionNode) else []
    parts = [part for entry in inner for part in (entry if isinstance(entry, tuple) else (entry,))]
    below = max((_most_merged(part, sizes) for part in parts), default=0.0)
    sizes[id(node)] = max(below, _merged_size(node, {}))
    return sizes[id(node)]


def _merged_size(node: yaml.Node, sizes: dict[int, float]) -> float:
    if id(node) not in sizes:
        sizes[id(node)] = math.inf
        if isinstance(node, yaml.MappingNode):
            merged = [value for key, value in node.value if key.tag == _MERGE]
            sizes[id(node)] = len(node.value) + sum(_merged_size(value, sizes) for value in merged)
        else:
            inner = node.value if isinstance(node, yaml.SequenceNode) else []
            sizes[id(node)] = sum(_merged_size(value, sizes) for value in inner)
    return sizes[id(node)]


def _lines(node: yaml.Node | None) -> Iterable[tuple[Key, int]]:
    """Every key with its line; what aliases repeat, only where it comes first, as it may be very much."""
    seen: set[int] = set()

    def below(node: yaml.Node | None, prefix: Key) -> Iterable[tuple[Key, int]]:
        if not isinstance(node, yaml.MappingNode) or len(prefix) == _DEEPEST or id(node) in seen:
            return
        seen.add(id(node))
        for key, value in node.value:
            path = (*prefix, str(key.value))
            yield path, key.start_mark.line + 1
            yield from below(value, path)

    return below(node, ())


def _assignment(text: str) -> tuple[Values, Origins]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {text!r} is not of the form KEY=VALUE.", "Example: --set frames.fps=10")
    try:
        parsed, node = _yaml(value, "--set")
    except InputError as error:
        raise InputError(
            f"--set {text[:80]!r}: the value is not valid YAML.", "Quote text: --set 'a.b=\"x\"'"
        ) from error
    values, origins = _nested(key.strip().split("."), parsed if node else None, "--set")
    frames = values.get("frames")
    if isinstance(frames, dict) and "video" in frames:
        raise InputError(
            "--set frames.video would change nothing: the video is what the call is given.", "Leave it out."
        )
    return values, origins


def _nested(path: list[str], value: Any, origin: str) -> tuple[Values, Origins]:
    values = value
    for name in reversed(path):
        values = {name: values}
    return values, {tuple(path): origin}


def _problems(error: ValidationError, origins: Origins) -> list[str]:
    """One line for every key that is wrong: its name, where it was set, why, and what would do."""
    known = keys(schema())
    reasons: dict[Key, list[str]] = {}
    for problem in error.errors(include_url=False):
        loc = tuple(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            reasons[loc] = [f"there is no such key{_suggestion(loc, known)}"]
            continue
        # Members of a union and elements of a list add to the location; the key is what the schema knows.
        key = next((loc[:n] for n in range(len(loc), 0, -1) if loc[:n] in known), loc)
        message = problem["msg"].replace("Input should be", "must be").replace("Value error, ", "")
        field, given = known.get(key), problem["input"]
        choices = [str(choice) for choice in _choices(field.annotation)] if field else []
        close = closest(given, choices).rstrip(".") if isinstance(given, str) else ""
        allowed = _allowed(field) if field else ""
        reasons.setdefault(key, []).append(f"{message}, not {_shown(given)}{allowed}{close}")
    return [
        f"  {'.'.join(key)} ({_origin(key, origins)}): {'; '.join(dict.fromkeys(why))}"
        for key, why in reasons.items()
    ]


def _origin(key: Key, origins: Origins) -> str:
    """Where a key was set: itself, the section around it, or, where that is unknown, a key within it."""
    around = (origins[key[:n]] for n in range(len(key), 0, -1) if key[:n] in origins)
    within = (origin for inner, origin in origins.items() if inner[: len(key)] == key)
    return next(around, next(within, "default"))


def _choices(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    return [choice for part in typing.get_args(annotation) for choice in _choices(part)]


def _parts(annotation: Any) -> Iterable[Any]:
    """An annotation and all that it is made of, where it can be hashed."""
    yield annotation
    for part in typing.get_args(annotation):
        if not isinstance(part, FieldInfo):
            yield from _parts(part)


def _allowed(field: FieldInfo) -> str:
    """The range of a field's numbers, to end a message with; empty where there is none."""
    limits = list(_limits(field))
    return f"; allowed: {' and '.join(limits)}" if limits else ""


def _limits(part: Any) -> Iterable[str]:
    if isinstance(part, FieldInfo):
        for constraint in part.metadata:
            for name, words in _LIMITS.items():
                if (limit := getattr(constraint, name, None)) is not None:
                    yield f"{words} {limit}"
        part = part.annotation
    for inner in typing.get_args(part):
        yield from _limits(inner)


def _shown(value: Any) -> str:
    """A value in a few words, however large it is; aliases in YAML can make one that is endless."""
    return repr((value if isinstance(value, str) else _brief.repr(value))[:60])


def _suggestion(unknown: Key, known: Mapping[Key, FieldInfo]) -> str:
    """The keys that would do, and the one that was probably meant."""
    siblings = [key[-1] for key in known if key[:-1] == unknown[:-1]]
    if len(siblings) <= _MOST_LISTED:
        listed = f"; {'possible' if len(unknown) > 1 else 'sections'}: {', '.join(siblings)}"
    else:
        listed = f"; closest: {', '.join(difflib.get_close_matches(unknown[-1], siblings, n=3, cutoff=0))}"
    elsewhere = {key[-1]: key for key in known} | {name: (*unknown[:-1], name) for name in siblings}
    for names in (siblings, list(elsewhere)):
        if match := difflib.get_close_matches(unknown[-1], names, n=1):
            return f"{listed}; did you mean {'.'.join(elsewhere[match[0]])}?"
    return listed


def closest(word: str, words: Iterable[str]) -> str:
    """A message's end: a question, where one of the words is like the given one, or its full stop."""
    match = difflib.get_close_matches(word, list(words), n=1)
    return f"; did you mean {match[0]!r}?" if match else "."


def _list(title: str, names: Iterable[str]) -> str:
    return f"{title}: {', '.join(names)}."
