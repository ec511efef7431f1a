"""How a workspace stands, for people and for programs."""

from typing import Any

from pipeline.chain import State, recorded, state
from pipeline.console import duration, size, table
from pipeline.containment import refuse_links
from pipeline.workspace import Workspace


def describe(workspace: Workspace) -> dict[str, Any]:
    """JSON-able facts about a workspace, measured against the configuration of its latest run.

    Raises:
        InputError: it is not a workspace, or holds links.
    """
    steps = recorded(workspace)
    refuse_links(workspace.folder)
    stages = [_stage(state(workspace, step, verify=True)) for step in steps]
    return {
        "workspace": str(workspace.folder),
        "video": str(workspace.record().video),
        "running": workspace.running,
        "complete": all(stage["state"] == "done" for stage in stages),
        "stages": stages,
    }


def _stage(state: State) -> dict[str, Any]:
    manifest = state.manifest
    return {
        "stage": state.step.stage.name,
        "state": state.name,
        "reason": state.reason,
        "engine": manifest.engine if manifest else state.step.engine,
        "seconds": manifest.seconds if manifest else None,
        "peak_memory": manifest.peak_memory if manifest else None,
        "peak_gpu_memory": manifest.peak_gpu_memory if manifest else None,
        "finished": manifest.finished if manifest else None,
        "summary": manifest.summary if manifest else None,
    }


def as_text(facts: dict[str, Any]) -> str:
    """The same for a person."""
    rows = [("stage", "state", "engine", "time", "memory", "")]
    for stage in facts["stages"]:
        spent = ("", "")
        if stage["seconds"] is not None:
            spent = duration(stage["seconds"]), size(stage["peak_memory"])
        rows.append((stage["stage"], stage["state"], stage["engine"], *spent, stage["reason"]))
    lines = [f"{facts['workspace']}, of {facts['video']}", table(rows)]
    if running := facts["running"]:
        lines.append(f"A run is at work: process {running.get('pid')} on {running.get('host')}.")
    return "\n".join(lines)
