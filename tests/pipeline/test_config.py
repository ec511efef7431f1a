"""Configuration: the order of its sources, and what it says about mistakes."""

import re
from pathlib import Path

import pytest

import stages
from models.errors import InputError
from pipeline import config

REAL = stages.STAGES
pytestmark = pytest.mark.usefixtures("chain")


def load(*assignments: str, **options: object) -> object:
    return config.load(Path("clip.mp4"), assignments=assignments, **options)


def refusal(*assignments: str, **options: object) -> str:
    with pytest.raises(InputError) as error:
        load(*assignments, **options)
    return str(error.value)


def test_later_sources_win(tmp_path: Path) -> None:
    assert config.load(Path("c"), "default").optimize.steps == 5
    assert config.load(Path("c"), "fast").optimize.steps == 3
    file = tmp_path / "mine.yaml"
    file.write_text("optimize:\n  steps: 11\n  device: cpu\n")
    assert config.load(Path("c"), "fast", file).optimize.steps == 11
    config_ = config.load(Path("c"), "fast", file, ["optimize.steps=12"], {"device": "cuda"})
    assert (config_.optimize.steps, config_.optimize.device) == (12, "cuda")


def test_setting_a_nested_key_keeps_its_neighbours() -> None:
    weights = load("poses.weights.colour=0.25").poses.weights
    assert (weights.colour, weights.silhouette) == (0.25, 0.5)


def test_options_stand_for_keys_of_the_sections() -> None:
    loaded = load(options={"person": 2, "height": 1.8, "focal": 900.0, "poses": Path("p.npz"), "masks": None})
    assert (loaded.detect.person, loaded.frames.focal) == (2, 900.0)
    assert (loaded.poses.height, loaded.optimize.height) == (1.8, 1.8)
    assert loaded.poses.file == Path.cwd() / "p.npz"
    assert loaded.masks.file is None
    on_cpu = load(options={"device": "cpu"})
    assert (on_cpu.masks.device, on_cpu.optimize.device) == ("cpu", "cpu")


def test_paths_become_absolute(tmp_path: Path) -> None:
    assert load("poses.file=some/poses.npz").poses.file == tmp_path / "some/poses.npz"


@pytest.mark.parametrize(
    ("assignment", "names"),
    [
        ("optimize.stepz=3", ("optimize.stepz", "--set", "did you mean optimize.steps?")),
        ("poses.weights.color=1", ("poses.weights.color", "did you mean poses.weights.colour?")),
        ("optimise.steps=3", ("optimise", "did you mean optimize?")),
        ("steps=3", ("steps", "did you mean optimize.steps?")),
        ("zzz.a=3", ("zzz (--set): there is no such key",)),
        ("zzz=3", ("zzz", "sections: frames, detect, poses, masks, optimize, export")),
        ("masks.qqq=3", ("masks.qqq", "possible: file, engine, device")),
        ("optimize.device=cude", ("optimize.device", "'auto', 'cpu' or 'cuda'", "did you mean 'cuda'?")),
        ("optimize.steps=many", ("optimize.steps", "valid integer", "'many'")),
        ("optimize.stepz=3", ("possible: steps, device, height",)),
        ("poses.height=true", ("poses.height (--set): must be a number, not 'True'; allowed: above 0",)),
        ("optimize.steps=false", ("optimize.steps (--set): must be a number", "allowed: at least 1")),
        ("optimize.steps=many", ("allowed: at least 1",)),
        ("optimize.steps=2024-99-99", ("not valid YAML",)),
        ("optimize.steps=" + "9" * 5000, ("not valid YAML",)),
        ("optimize.steps=0", ("optimize.steps", "greater than or equal to 1", "'0'")),
        ("frames.rate=-1", ("frames.rate", "greater than 0")),
        ("frames=3", ("frames (--set)", "is a section", "rate")),
        ("frames.rate", ("not of the form KEY=VALUE",)),
        ("frames.rate=[1", ("not valid YAML",)),
    ],
)
def test_a_mistake_is_named(assignment: str, names: tuple[str, ...]) -> None:
    message = refusal(assignment)
    assert all(name in message for name in names), message


def test_of_many_keys_the_closest_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "STAGES", REAL)
    message = refusal("optimize.gausians=3")
    assert re.search(r"closest: \w+, \w+, \w+; did you mean optimize\.gaussians\?", message), message


def test_a_seed_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "STAGES", REAL)
    message = refusal("optimize.seed=true")
    assert "optimize.seed (--set): must be a number, not 'True'; allowed: at least 0" in message


@pytest.mark.parametrize(("opening", "item"), [("[{}]", "*a{}"), ("{{{}}}", "k{1}: *a{0}")])
@pytest.mark.parametrize("key", ["optimize", "optimize.steps", "zzz", "a0"])
def test_a_value_of_nested_aliases_is_named_at_once(
    tmp_path: Path, opening: str, item: str, key: str
) -> None:
    """Written out, it would have 10^30 parts."""
    values = [opening.format(", ".join(item.format(n, k) for k in range(10))) for n in range(30)]
    lines = ["a0: &a0 0", *(f"a{n}: &a{n} {value}" for n, value in enumerate(values, start=1))]
    section, _, inner = key.partition(".")
    lines.append(f"{section}: {{{inner}: *a30}}" if inner else f"{section}: *a30")
    file = tmp_path / "mine.yaml"
    file.write_text("\n".join(lines))
    message = refusal(file=file)
    assert "mine.yaml:" in message
    assert len(message) < 10_000


def test_all_mistakes_are_named_at_once() -> None:
    message = refusal("optimize.stepz=3", "frames.rate=fast", options={"device": "gpu"})
    assert "optimize.stepz (--set)" in message
    assert "frames.rate (--set)" in message
    assert "optimize.device (--device)" in message


def test_an_unknown_preset_is_refused_with_the_closest() -> None:
    message = refusal(preset="fats")
    assert "did you mean 'fast'?" in message
    assert "default, fast" in message
    assert "There is no preset 'nope'.\nPresets: " in refusal(preset="nope")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("frames:\n  rate: 5\noptimize:\n  stepz: 3\n", ("mine.yaml:4", "did you mean optimize.steps?")),
        ("frames:\n  rate: [\n", ("mine.yaml:3", "not valid YAML")),
        ("frames: {rate: 5\n\noptimize: }", ("mine.yaml:3",)),
        ("just text", ("holds no keys",)),
        ("a: &a {b: *a}", ("a (", "no such key")),
        ("!!python/object/apply:os.system [ls]", ("mine.yaml:1", "not valid YAML")),
        ("[" * 5000, ("mine.yaml",)),
        ("\x00", ("mine.yaml",)),
    ],
)
def test_a_file_is_refused_with_name_and_line(tmp_path: Path, text: str, names: tuple[str, ...]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    message = refusal(file=file)
    assert all(name in message for name in names), message


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(file=tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    assert "not a text file" in refusal(file=tmp_path / "binary.yaml")


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert load(file=tmp_path / "empty.yaml") == load()


def test_a_configuration_survives_json() -> None:
    loaded = load("poses.file=p.npz", "optimize.steps=9")
    assert config.parsed(loaded.model_dump(mode="json")) == loaded
