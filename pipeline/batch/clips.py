"""The clips of a folder, and the workspace that each has to itself."""

import os
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from models.errors import InputError
from pipeline.console import escaped
from pipeline.workspace import Damaged, Workspace

SUFFIX = ".hsplat"
PATTERNS = tuple(
    f"*.{name}"
    for name in (
        "mp4", "mov", "m4v", "mkv", "webm", "avi", "mpg", "mpeg", "mts", "m2ts", "3gp", "wmv", "flv", "ogv",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Clip:
    """A video and where everything about it goes.

    Attributes:
        path: of the video below the folder of clips, as it is.
        video: the file.
        folder: its workspace.
    """

    path: str
    video: Path
    folder: Path

    @property
    def name(self) -> str:
        """The path for people: what cannot be printed is escaped."""
        return escaped(self.path)


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of a folder, `number` counted from 1; a clip's name alone decides its part."""

    number: int
    count: int

    @classmethod
    def parsed(cls, text: str) -> "Shard":
        """Reads I/N; InputError where that is not what it is."""
        first, _, second = text.partition("/")
        if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
            raise InputError(f"--shard {text!r} is not of the form I/N.", "Example: --shard 1/4, up to 4/4")
        return cls(int(first), int(second))

    def holds(self, clip: Clip) -> bool:
        """Whether a clip belongs to this part; the same on every machine."""
        return zlib.crc32(os.fsencode(clip.path)) % self.count == self.number - 1


def find_clips(
    folder: Path, output: Path | None = None, recursive: bool = False, patterns: Sequence[str] = ()
) -> list[Clip]:
    """Every clip of a folder in the order of its names; hidden files and workspaces are passed over.

    Args:
        folder: absolute.
        output: where the workspaces go, in folders like those of the clips; beside the clips by default.
        recursive: in the folders below, too; links to folders are not followed.
        patterns: of file names, or of paths below the folder where there is a "/"; those of usual videos by
            default. Case does not count.

    Raises:
        InputError: the folder cannot be read.
    """
    clips = []
    for directory, videos in _directories(folder, output, recursive, tuple(patterns) or PATTERNS):
        place = output / directory.relative_to(folder) if output else directory
        for video, workspace in zip(videos, _workspaces(videos, place), strict=True):
            clips.append(Clip(video.relative_to(folder).as_posix(), video, workspace))
    return sorted(clips, key=lambda clip: clip.path)


def find_workspaces(folder: Path) -> Iterator[Path]:
    """Every workspace below a folder, by its record, in the order of their paths.

    Raises:
        InputError: the folder cannot be read.
    """
    for directory, names, files in _walk(folder, recursive=True):
        if "workspace.json" in files and directory != folder:
            names.clear()
            yield directory


def _directories(
    folder: Path, output: Path | None, recursive: bool, patterns: tuple[str, ...]
) -> Iterator[tuple[Path, list[Path]]]:
    for directory, names, files in _walk(folder, recursive):
        names[:] = [
            name for name in names if not name.lower().endswith(SUFFIX) and directory / name != output
        ]
        found = [directory / name for name in files if not name.startswith(".")]
        videos = [path for path in found if _matches(path.relative_to(folder), patterns) and _is_file(path)]
        if videos:
            yield directory, sorted(videos)


def _walk(folder: Path, recursive: bool) -> Iterator[tuple[Path, list[str], list[str]]]:
    def refused(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise InputError(f"{folder} cannot be read: {error.strerror}.", "Give a folder with videos.")

    for directory, names, files in os.walk(folder, onerror=refused):
        names[:] = sorted(name for name in names if recursive and not name.startswith("."))
        yield Path(directory), names, files


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a link into a folder that may not be entered
        return False


def _matches(path: Path, patterns: Iterable[str]) -> bool:
    for pattern in patterns:
        text = path.as_posix() if "/" in pattern else path.name
        if fnmatchcase(text.lower(), pattern.lower()):
            return True
    return False


def _workspaces(videos: list[Path], place: Path) -> list[Path]:
    """A folder for each of a directory's videos: NAME.hsplat, and NAME.EXTENSION.hsplat where that is taken.

    Names that differ in case only are held for the same, as some file systems do. Which of several videos
    has the plain name does not change when others come: the workspace's record says whose it is.
    """
    alike: dict[str, list[Path]] = defaultdict(list)
    for video in videos:
        alike[video.stem.casefold()].append(video)
    firsts = {_owner(group, place) for group in alike.values()}
    taken: set[str] = {video.stem.casefold() for video in firsts}
    names = {video: video.stem for video in firsts}
    for video in videos:
        if video not in names:
            name, number = video.name, 2
            while name.casefold() in taken:
                name, number = f"{video.name}-{number}", number + 1
            taken.add(name.casefold())
            names[video] = name
    return [place / f"{names[video]}{SUFFIX}" for video in videos]


def _owner(group: list[Path], place: Path) -> Path:
    if len(group) == 1:
        return group[0]
    for video in group:
        try:
            if Workspace(place / f"{video.stem}{SUFFIX}").record().video.name == video.name:
                return video
        except (Damaged, OSError, InputError):
            continue
    return group[0]
