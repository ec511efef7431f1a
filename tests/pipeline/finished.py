"""A workspace as a finished run would have left it, of stages' folders that a test made."""

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from pipeline.workspace import Manifest, Record, Workspace, listed, now, write_json

MADE_OF = {"frames": (), "poses": ("frames",), "masks": ("frames",), "optimize": ("frames", "poses", "masks")}


def finished_workspace(place: Workspace, folders: Mapping[str, Path], names: Collection[str]) -> Workspace:
    """Publishes copies of the folders of these stages, each made of the earlier ones among them."""
    for name in names:
        folder = shutil.copytree(folders[name], place.stage_folder(name))
        (folder / "manifest.json").unlink()
        manifest = Manifest(
            stage=name,
            version=1,
            engine="embedded",
            settings={},
            files={},
            needs={need: f"print of {need}" for need in MADE_OF[name]},
            fingerprint=f"print of {name}",
            finished="2026-01-01",
            seconds=1,
            peak_memory=1,
            summary={},
            outputs=listed(folder),
        )
        write_json(folder / "manifest.json", manifest)
    video = place.folder / "clip.mp4"
    record = Record(
        format=1,
        video=video,
        video_sha256="",
        created=now(),
        configuration={"frames": {"video": str(video)}},
    )
    write_json(place.record_path, record)
    return place
