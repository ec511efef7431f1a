"""Stage export: the files that people use, made of what the other stages found."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from stages.base import Settings, Stage, Work

NEEDS = ("frames", "detect", "poses", "masks", "depth", "optimize")
FILES = {
    "viewer.html": "the avatar in motion, to turn and to play: opens in any browser",
    "avatar.mp4": "the video, the avatar, and the avatar from the side",
    "turntable.mp4": "the avatar from all sides",
    "coverage.png": "the avatar from four sides, coloured by how often each part was seen",
    "overlay.mp4": "the body's outline over the video, before and after",
    "avatar.ply": "the avatar in its rest pose, for viewers of Gaussian splats",
    "avatar.npz": "the avatar with its skeleton, for this program and for Python",
    "motion.npz": "the refined motion",
    "motion_initial.npz": "the motion as first estimated",
    "metrics.json": "the report's figures",
}
REPORT = {"report.html": "what was made, how good it is, what to do better"}


class ExportSettings(Settings):
    """What the exported files are like."""

    body: Path | None = Field(None, description="SMPL_NEUTRAL.pkl or .npz, for a motion of that body")
    video_height: int = Field(640, ge=64, le=2160, description="of the videos, at most, pixels")
    video_frames: int = Field(300, ge=2, le=100_000, description="a video, at most; longer clips are thinned")
    turntable_frames: int = Field(72, ge=4, le=1440, description="of one turn, at 24 a second")
    viewer_height: int = Field(
        640, ge=0, le=2160, description="of the clip's pictures in viewer.html, at most; 0 leaves them out"
    )
    ply_up: Literal["y", "-y"] = Field("y", description="the axis that points up in avatar.ply")


def run(work: Work) -> dict[str, Any]:
    """Writes the files of `FILES` and the report.

    Raises:
        InputError: the body's file cannot be used.
        StageError: the disk is full, or the earlier stages disagree.
    """
    from stages.export.outputs import write_outputs

    return write_outputs(work)


STAGE = Stage(
    name="export",
    version=5,
    needs=NEEDS,
    settings=ExportSettings,
    run=run,
    engine=lambda settings: "numba",
    title="Writing videos, files and the report",
)
