"""The command `export`: an avatar and its motion as files of other programs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import InputError
from pipeline.finished import finished, recorded_body
from pipeline.publishing import publishing, refuse_existing
from pipeline.workspace import Workspace
from stages.base import Progress

if TYPE_CHECKING:
    from stages.export.content import Content, Up
    from stages.export.formats import Format

FOLDER = "exported"
ALL = "all"


@dataclass(frozen=True)
class Selection:
    """Which pose goes into formats that hold one, and how it is turned.

    Attributes:
        frame: its number among the kept frames, from 0.
        frames: all frames, a file each. With neither of the two it is the rest pose.
        up: the axis that points up where readers disagree.
    """

    frame: int | None = None
    frames: bool = False
    up: "Up" = "y"


@dataclass(frozen=True)
class _Job:
    """What is to be written: a file, or a folder of numbered ones.

    Attributes:
        frames: of each file; None is the rest pose or the whole clip.
        folder_of: the suffix of the files in the folder, or nothing for a file.
    """

    format: "Format"
    target: Path
    frames: tuple[int | None, ...]
    folder_of: str = ""


def export_workspace(
    workspace: Workspace,
    names: Iterable[str],
    output: Path | None,
    selection: Selection,
    force: bool,
    body: Path | None,
    told: Progress,
) -> list[tuple[Path, str]]:
    """Writes a finished workspace's avatar and motion in some formats.

    Args:
        names: of formats, or lists of them with commas; "all" stands for every one.
        output: the folder to write into; `exported` in the workspace by default.
        force: replace what is there.
        body: the SMPL file, where the motion is of SMPL's body; by default that of the workspace's run.
        told: how far it is: done, total, and which file.

    Returns:
        What was written, and what each is.

    Raises:
        InputError: a format or frame that does not exist, a workspace that has not finished, an option that
            does nothing, or an output that exists; nothing is written then.
        StageError: the disk is full.
    """
    from stages.export.content import NEEDS, Content

    wanted = _wanted(names)
    _check(selection, wanted)
    folders = finished(workspace, NEEDS)
    content = Content.load(folders, body)
    if content.motion.body == "smpl" and body is None:  # the embedded body needs no record of the run
        content = replace(content, body_file=recorded_body(workspace))
    jobs = [
        _job(output or workspace.folder / FOLDER, one, selection, len(content.motion))
        for one in wanted.values()
    ]
    for job in jobs:
        refuse_existing(job.target, force, job.folder_of)
    _carry_out(jobs, content, selection.up, force, told)
    return [(job.target, job.format.about) for job in jobs]


def _wanted(names: Iterable[str]) -> "dict[str, Format]":
    """The rows of the table that are named, in its order."""
    from stages.export.formats import FORMATS

    asked = [name.strip().lower() for group in names for name in group.split(",") if name.strip()]
    known = f"Known formats: {', '.join(FORMATS)}; {ALL} stands for every one."
    if unknown := [name for name in asked if name not in FORMATS and name != ALL]:
        raise InputError(f"There is no format {unknown[0]!r}.", known)
    if not asked:
        raise InputError("No format was named.", known)
    return {name: one for name, one in FORMATS.items() if ALL in asked or name in asked}


def _check(selection: Selection, wanted: "Mapping[str, Format]") -> None:
    """Refuses options that would do nothing."""
    named = ", ".join(wanted)
    if selection.frame is not None and selection.frames:
        raise InputError("--frame and --frames exclude one another.", "Leave one of them out.")
    one_pose = any(one.holds != "clip" for one in wanted.values())
    if (selection.frame is not None or selection.frames) and not one_pose:
        raise InputError(f"--frame and --frames do nothing for {named}.", "Leave them out.")
    if selection.up != "y" and not any(one.turnable for one in wanted.values()):
        raise InputError(f"--up does nothing for {named}: the format says which way is up.", "Leave it out.")


def _job(folder: Path, one: "Format", selection: Selection, count: int) -> _Job:
    name = Path(one.file)
    if selection.frame is not None and not 0 <= selection.frame < count:
        raise InputError(f"There is no frame {selection.frame}.", f"The clip's frames are 0 to {count - 1}.")
    if one.holds == "clip" or (one.holds == "pose" and selection.frame is None and not selection.frames):
        return _Job(one, folder / name, (None,))
    if selection.frame is not None:
        return _Job(one, folder / f"{name.stem}_{selection.frame:06d}{name.suffix}", (selection.frame,))
    return _Job(one, folder / f"{name.stem}_{name.suffix[1:]}", tuple(range(count)), name.suffix)


def _carry_out(jobs: Sequence[_Job], content: "Content", up: "Up", force: bool, told: Progress) -> None:
    done, total = 0, sum(len(job.frames) for job in jobs)
    for job in jobs:
        turned = up if job.format.turnable else "y"
        with publishing(job.target, force, job.folder_of) as partial:
            for frame in job.frames:
                told(done, total, job.target.name)
                path = partial / f"{frame:06d}{job.folder_of}" if job.folder_of else partial
                job.format.write(path, content, frame, turned)
                done += 1
