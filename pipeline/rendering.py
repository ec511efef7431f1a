"""The command `render`: pictures of an avatar in any motion, from any cameras."""

import functools
import re
from pathlib import Path

from models import gpu
from models.errors import InputError
from pipeline.console import shown
from pipeline.finished import finished
from pipeline.publishing import publishing, refuse_existing
from pipeline.workspace import Workspace
from stages.base import Progress, silent

_OTHER_FILES = (".avi", ".gif", ".jpg", ".jpeg", ".mkv", ".mov", ".npz", ".png", ".webp")
Color = tuple[float, float, float]


def render(
    source: Path,
    output: Path,
    motion: Path | None = None,
    cameras: Path | None = None,
    orbit: bool = False,
    turntable: bool = False,
    background: str | None = None,
    size: str | None = None,
    fps: float | None = None,
    device: str = "auto",
    force: bool = False,
    progress: Progress = silent,
) -> list[str]:
    """Draws and writes; docs/formats.md describes the files.

    Args:
        source: a finished workspace, or an avatar.npz.
        output: FILE.mp4, FILE.webm, or a folder for numbered PNGs. Of several cameras each gets its own,
            NAME_cam0 and so on.
        motion: of `stages.render.plan`; a workspace's refined one by default, but for a turntable.
        cameras: cameras.npz; or `orbit`, or `turntable`; else the motion's own camera.
        background, size: as written by the user.
        fps: pictures a second.
        device: auto, cpu or cuda.
        force: existing output is replaced.

    Returns:
        What was written and what there is to know, in lines.

    Raises:
        InputError: something of this cannot be used; nothing was written.
        StageError: the disk is full, or ffmpeg cannot encode.
    """
    from models.avatar import Avatar
    from stages.render import FOLDER, VIDEOS, Around, plan, write_pictures

    if (cameras is not None) + orbit + turntable > 1:
        raise InputError("Only one of --cameras, --orbit and --turntable can be followed.", "Choose one.")
    if fps is not None and not 0.001 <= fps <= 1000:
        raise InputError(f"--fps {fps:g} is no frame rate.", "Give pictures a second, such as 25.")
    folder_of = "" if output.suffix.lower() in VIDEOS else FOLDER
    behind = _behind(background, output)
    wanted = None if size is None else picture_size(size)
    if folder_of and output.suffix.lower() in _OTHER_FILES:
        raise InputError(
            f"{output}: this format is not written.", "End it in .mp4 or .webm, or name a folder for PNGs."
        )
    avatar_file, own_motion = _parts(source)
    if motion is None and not turntable:
        motion = own_motion
    avatar = Avatar.load(avatar_file).to(_device(device))
    around: Around | None = "orbit" if orbit else "turntable" if turntable else None
    takes, notes = plan(avatar, motion, cameras, around, wanted, fps)
    targets = [
        output.with_name(f"{output.stem}_{take.name}{output.suffix}") if take.name else output
        for take in takes
    ]
    for target in targets:
        refuse_existing(target, force, folder_of)
    lines = list(notes)
    for target, take in zip(targets, takes, strict=True):
        with publishing(target, force, folder_of) as partial:
            write_pictures(partial, avatar, take, behind, functools.partial(progress, note=take.name))
        width, height = take.size
        rate = "" if folder_of else f", {take.fps:g} a second"
        pictures = f"{len(take)} picture{'s' if len(take) > 1 else ''}"
        lines.append(f"{shown(target)}: {pictures} of {width} x {height} pixels{rate}")
    return lines


def _device(asked: str) -> str:
    """cpu or cuda; auto is cuda where the renderer for it can run."""
    if asked not in ("auto", "cpu", "cuda"):
        raise InputError(f"--device {asked} is not known.", "Give auto, cpu or cuda.")
    lack = None if asked == "cpu" else gpu.lack()
    if asked == "cuda" and lack:
        raise InputError(
            f"Nothing can be drawn on CUDA: {lack.problem}.",
            f"{lack.mend[0].upper()}{lack.mend[1:]}; or use --device cpu.",
        )
    return "cpu" if asked == "cpu" or lack else "cuda"


def _parts(source: Path) -> tuple[Path, Path | None]:
    """The files of the avatar and of its own motion, which a bare avatar lacks."""
    if not source.exists():
        raise InputError(
            f"{source}: there is no such workspace or avatar.", "Give a workspace or an avatar.npz."
        )
    if not source.is_dir():
        return source, None
    folder = finished(Workspace(source), ("optimize",))["optimize"]
    return folder / "avatar.npz", folder / "motion.npz"


def _behind(background: str | None, output: Path) -> Color | None:
    """The colour behind the avatar, None where there is none; an MP4 has one always."""
    opaque = output.suffix.lower() == ".mp4"
    if background is None:
        return (1.0, 1.0, 1.0) if opaque else None
    color = parse_color(background)
    if color is None and opaque:
        raise InputError(
            "An MP4 cannot be transparent.", "Name a .webm or a folder for PNGs, or give a colour."
        )
    return color


def parse_color(text: str) -> Color | None:
    """RGB in [0, 1] of "R,G,B" (0 to 255) or "#RRGGBB"; None of "transparent".

    Raises:
        InputError: none of these.
    """
    if text == "transparent":
        return None
    if match := re.fullmatch(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})", text):
        values = [int(part, 16) for part in match.groups()]
    elif match := re.fullmatch(r"\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*", text):
        values = [int(part) for part in match.groups()]
    else:
        values = [256]
    if max(values) > 255:
        raise InputError(
            f"--background {text} is no colour.", "Give R,G,B from 0 to 255, #RRGGBB, or transparent."
        )
    red, green, blue = (value / 255 for value in values)
    return red, green, blue


def picture_size(text: str) -> tuple[int, int]:
    """Width and height of "WIDTHxHEIGHT".

    Raises:
        InputError: it is none, or beyond `stages.render.LARGEST`.
    """
    from stages.render import LARGEST

    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text)
    width, height = (int(part) for part in match.groups()) if match else (0, 0)
    if not (1 <= width <= LARGEST and 1 <= height <= LARGEST):
        raise InputError(
            f"--size {text} is no size.", f"Give WIDTHxHEIGHT in pixels, up to {LARGEST}, such as 512x512."
        )
    return width, height
