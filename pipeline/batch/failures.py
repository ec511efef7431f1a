"""Why a clip failed, kept in its workspace where every machine sees it."""

import socket
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from models.errors import HsplatError
from models.files import read_bounded
from pipeline.workspace import Damaged, Workspace, now, read_json, write_json

NAME = "failure.json"
_LARGEST = 2**20  # bytes


class Failure(BaseModel):
    """The latest failure of a clip; the file vanishes as soon as a stage succeeds.

    Attributes:
        stage: what failed; empty where it was before any stage.
        problem: for the user, as is `next_step`.
        attempts: how often this clip has failed since the call that it failed in began.
        host: the machine.
        time: UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: str
    problem: str
    next_step: str = ""
    attempts: int = 1
    host: str = ""
    time: str = ""

    @classmethod
    def of(cls, error: HsplatError, stage: str, attempts: int = 1) -> "Failure":
        """What an error says, here and now."""
        return cls(
            stage=stage,
            problem=error.problem,
            next_step=error.next_step,
            attempts=attempts,
            host=socket.gethostname(),
            time=now(),
        )


def path_of(folder: Path) -> Path:
    """The file in a workspace."""
    return folder / NAME


def content(folder: Path) -> str:
    """The file's text, by which a new failure is told from an old one; empty where there is none."""
    try:
        return read_bounded(path_of(folder), _LARGEST).decode()
    except (OSError, ValueError):
        return ""


def read(folder: Path) -> Failure | None:
    """The failure noted in a workspace; None where there is none that can be read."""
    try:
        return read_json(path_of(folder), Failure)
    except (Damaged, OSError):
        return None


def write(workspace: Workspace, failure: Failure) -> None:
    """Notes a failure in a workspace that this process holds the lock of.

    Raises:
        OSError: the disk is full, or the like.
    """
    write_json(path_of(workspace.folder), failure)


def forget(folder: Path) -> None:
    """Removes the note."""
    path_of(folder).unlink(missing_ok=True)
