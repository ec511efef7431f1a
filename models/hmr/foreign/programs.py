"""Which program wrote a file, by its keys."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.errors import InputError
from models.hmr.foreign import gvhmr, phalp, tram, wham
from models.hmr.foreign.opening import contents
from models.hmr.foreign.people import NEXT_STEP, Person

# A program's file is recognised by its content alone; the size (width, height) is the video's.
PROGRAMS: tuple[tuple[Callable[[Any], bool], Callable[[Path, Any, tuple[int, int]], list[Person]]], ...] = (
    (phalp.recognises, phalp.people),
    (wham.recognises, wham.people),
    (gvhmr.recognises, gvhmr.people),
)


def read_people(path: Path, size: tuple[int, int]) -> list[Person]:
    """Everybody in another program's file, or in TRAM's folder.

    Args:
        path: a file that `is_foreign` took for one, or a folder.
        size: width and height of the video, pixels.

    Raises:
        InputError: the file cannot be read, is no program's that is known, or a value of it is wrong.
    """
    people = tram.people_in(path) if path.is_dir() else _people(path, contents(path), size)
    if not (found := [person for person in people if len(person.frames)]):
        raise InputError(f"{path} holds nobody.", "Run the other program on a clip that shows the person.")
    return found


def _people(path: Path, content: Any, size: tuple[int, int]) -> list[Person]:
    for recognises, people in PROGRAMS:
        if recognises(content):
            return people(path, content, size)
    if tram.recognises(content):
        raise InputError(
            f"{path} is a track of TRAM's, which does not hold the camera.",
            "Copy camera.npy from the folder above it beside it, and give that folder: --poses FOLDER.",
        )
    raise InputError(f"{path} holds poses of no program that is known ({_described(content)}).", NEXT_STEP)


def _described(content: Any) -> str:
    if not isinstance(content, dict):
        return type(content).__name__
    return f"keys {', '.join(str(key)[:40] for key in list(content)[:5]) or 'none'}"
