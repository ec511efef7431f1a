"""What commands need of a workspace that a run has finished."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models.errors import InputError
from pipeline import config
from pipeline.containment import refuse_links
from pipeline.workspace import Damaged, Workspace


def finished(workspace: Workspace, names: Iterable[str]) -> dict[str, Path]:
    """The folders of some stages, which must be whole and made from one another.

    Raises:
        InputError: a stage is missing, damaged or older than what it is made of, the folder holds links, or a
            run is at work.
    """
    advice = f"Finish it: hsplat-pipeline run VIDEO --workspace {workspace.folder}"
    refuse_links(workspace.folder)
    if workspace.running:
        raise InputError(f"A run is at work in {workspace.folder}.", "Wait until it ends.")
    manifests = {}
    for name in names:
        try:
            manifests[name] = workspace.manifest(name, verify=True)
        except (FileNotFoundError, NotADirectoryError):
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
