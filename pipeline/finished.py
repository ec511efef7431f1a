"""What commands need of a workspace that a run has finished."""

import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models.errors import InputError
from pipeline import config
from pipeline.containment import refuse_links
from pipeline.workspace import MANIFEST, Damaged, Workspace, around


def finished(workspace: Workspace, names: Collection[str]) -> dict[str, Path]:
    """The folders of some stages, which must be whole and made from one another.

    Raises:
        InputError: it is no workspace, a stage is missing, damaged or older than what it is made of, the
            folder holds links, or a run is at work.
    """
    _expect_workspace(workspace, names)
    advice = f"Finish it: {_call(workspace.folder)}"
    refuse_links(workspace.folder)
    if workspace.running:
        raise InputError(f"A run is at work in {workspace.folder}.", "Wait until it ends.")
    manifests = {}
    for name in names:
        try:
            manifests[name] = workspace.manifest(name, verify=True)
        except FileNotFoundError:
            raise InputError(f"{workspace.folder} has not finished: {name} is missing.", advice) from None
        except Damaged as damage:
            raise InputError(f"{workspace.folder} is damaged: {damage}.", advice) from damage
    for name, manifest in manifests.items():
        for need, fingerprint in manifest.needs.items():
            if need in manifests and manifests[need].fingerprint != fingerprint:
                raise InputError(
                    f"{workspace.folder} has not finished: {name} is older than {need}, which it is made of.",
                    advice,
                )
    return {name: workspace.stage_folder(name) for name in manifests}


def _expect_workspace(workspace: Workspace, names: Collection[str]) -> None:
    """Raises InputError where the folder holds neither a run's record nor any of the stages."""
    marks = (workspace.record_path, *(workspace.stage_folder(name) / MANIFEST for name in names))
    if not all(_is_absent(mark) for mark in marks):
        return
    if _is_absent(workspace.folder):
        advice = f"Make it: {_call(workspace.folder)}"
    elif outer := around(workspace.folder):
        advice = f"Give the one that it lies in: {outer}"
    else:
        advice = "Give the folder that a run has made, such as clip.hsplat."
    raise InputError(f"{workspace.folder} is not a workspace.", advice)


def _is_absent(path: Path) -> bool:
    """Whether there is nothing; what may not be looked at counts as something."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _call(folder: Path) -> str:
    return f"hsplat-pipeline run VIDEO --workspace {shlex.quote(str(folder))}"


def recorded_body(workspace: Workspace) -> Path | None:
    """The body's file that the workspace's latest run was given, if any.

    Raises:
        InputError: the workspace's record is damaged.
    """
    try:
        configuration: Any = config.parsed(workspace.record().configuration)
    except (Damaged, OSError, ValidationError) as error:
        raise InputError(
            f"{workspace.record_path} is damaged, or another version wrote it.",
            "Run again on the video; what is up to date stays.",
        ) from error
    body: Path | None = configuration.optimize.body
    return body
