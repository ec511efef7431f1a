"""How the clips of a folder stand, for people and for programs: the command `status` of a folder."""

from collections import Counter
from pathlib import Path
from typing import Any

from models.errors import InputError
from pipeline.batch import failures
from pipeline.batch.clips import find_clips, find_workspaces
from pipeline.batch.display import counted
from pipeline.console import escaped, table
from pipeline.status import describe
from pipeline.workspace import Workspace


def is_folder_of_clips(folder: Path) -> bool:
    """Whether `status` is asked about a folder with workspaces or videos, and not about a workspace."""
    try:
        if not folder.is_dir() or any((folder / name).exists() for name in ("workspace.json", "lock")):
            return False
    except OSError:  # such as a name that is too long
        return False
    return next(find_workspaces(folder), None) is not None or bool(find_clips(folder, recursive=True))


def describe_folder(folder: Path) -> dict[str, Any]:
    """JSON-able facts about every workspace below a folder, and the videos there that have none yet.

    Each workspace is measured against the configuration of its latest run.
    """
    clips = [_workspace(place, folder) for place in find_workspaces(folder)]
    known = {clip["video"] for clip in clips}
    clips += [
        {"clip": clip.name, "video": str(clip.video), "workspace": None, "state": "not begun", "reason": ""}
        for clip in find_clips(folder, recursive=True)
        if str(clip.video) not in known
    ]
    return {"folder": str(folder), "states": dict(Counter(clip["state"] for clip in clips)), "clips": clips}


def _workspace(place: Path, folder: Path) -> dict[str, Any]:
    name = escaped(place.relative_to(folder).as_posix())
    try:
        facts = describe(Workspace(place))
    except InputError as error:
        return {
            "clip": name, "video": None, "workspace": str(place), "state": "unknown", "reason": error.problem
        }  # fmt: skip
    failure = failures.read(place)
    waiting = [stage["stage"] for stage in facts["stages"] if stage["state"] != "done"]
    if facts["running"]:
        state, reason = "running", f"process {facts['running'].get('pid')} on {facts['running'].get('host')}"
    elif not waiting:
        state, reason = "done", ""
    elif failure:
        state, reason = "failed", f"{failure.stage}: {failure.problem}" if failure.stage else failure.problem
    else:
        state, reason = "not complete", f"to do: {', '.join(waiting)}"
    return {
        "clip": name, "video": facts["video"], "workspace": str(place), "state": state, "reason": reason
    }  # fmt: skip


def folder_as_text(facts: dict[str, Any]) -> str:
    """The same for a person."""
    rows = [
        ("clip", "state", ""),
        *((clip["clip"], clip["state"], escaped(clip["reason"])) for clip in facts["clips"]),
    ]
    counts = ", ".join(f"{count} {state}" for state, count in facts["states"].items())
    return f"{table(rows)}\n{counted(len(facts['clips']))}: {counts}"
