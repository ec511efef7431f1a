"""Tells from a file's content which weights of the table it is. Nothing that a file contains is run."""

import json
import pickletools
import re
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from models.errors import InputError
from models.weights.archive import is_archive
from models.weights.cache import measured
from models.weights.table import TABLE, Weights

LIST = "See what there is, and where: hsplat-pipeline weights list"
MOST_PICKLE = 2**26  # bytes; the part of a checkpoint that names its tensors
# Names of tensors that only HMR 2.0's checkpoint has together.
HMR2_NAMES = {"backbone.patch_embed.proj.weight", "smpl_head.decpose.weight", "smpl_head.deccam.weight"}
DEPTH = "depth_anything"
DEPTH_SIZES = {384: "small", 768: "base", 1024: "large"}
SMPL_NAMES = {
    "neutral": r"neutral",
    "female": r"female|basicmodel_?f",
    "male": r"male|basicmodel_?m",
}

SMPL_PACKED = r"smpl.*basicmodel.*\.pkl$"


def recognise(source: Path, key: str | None = None) -> Weights:
    """The row of the table that a file or folder is.

    Args:
        source: a file, an archive, or a folder of files.
        key: what the user says it is; its content must agree.

    Raises:
        InputError: it cannot be read, is none of the table's, or not what `key` says.
    """
    try:
        row = _recognise(source, key)
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror}.", "Check the path.") from error
    if key is not None and row.key != key:
        raise InputError(
            f"{source} is {row.model} ({row.key}), not {TABLE[key].model}.", f"{_where(TABLE[key])}"
        )
    return row


def _recognise(source: Path, key: str | None) -> Weights:
    if source.is_dir():
        if key is not None and not key.startswith(DEPTH):
            raise InputError(f"{source} is a folder; {TABLE[key].model} is a file.", _file_of(TABLE[key]))
        return _depth_folder(source)
    if not stat.S_ISREG(source.stat().st_mode):  # a device or a pipe; reading it might never end
        raise InputError(f"{source} is not a regular file.", LIST)
    sha256 = measured(source).sha256
    published = {remote.sha256: row for row in TABLE.values() for remote in row.remotes if remote.sha256}
    if row := published.get(sha256):
        if len(row.files) > 1:
            raise InputError(
                f"{source} is only one of the files of {row.model}.",
                _file_of(row),
            )
        return row
    if key is not None and not TABLE[key].archive and is_archive(source):
        raise InputError(f"{source} is an archive, not {TABLE[key].model}.", _file_of(TABLE[key]))
    if row := _hmr2(source) or _smpl(source, key):
        return row
    raise _unknown(source, sha256, key)


def _unknown(source: Path, sha256: str, key: str | None) -> InputError:
    """Why a file is not taken: near misses are told from the wholly unknown."""
    meant = TABLE.get(key or "") or next((row for row in TABLE.values() if source.name in _names(row)), None)
    if meant is None:
        return InputError(f"{source} is none of the weights in use (SHA-256 {sha256}).", LIST)
    expected = next((remote.sha256 for remote in meant.remotes if remote.sha256), "")
    told = f": its SHA-256 is {sha256}, that of the published file {expected}" if expected else ""
    return InputError(f"{source} is not {meant.model}, or damaged or cut off{told}.", _where(meant))


def _names(row: Weights) -> set[str]:
    return {*row.files, *(remote.name for remote in row.remotes)}


def _where(row: Weights) -> str:
    address = row.remotes[0].address if row.remotes else row.page
    return f"Get the right one at {address}"


def _file_of(row: Weights) -> str:
    """What to give instead of what some files are packed in."""
    if len(row.files) > 1:
        return f"Give the folder that holds {', '.join(row.files)}."
    return f"Give the file itself, such as {PurePosixPath(row.files[0]).name}."


def _hmr2(source: Path) -> Weights | None:
    """The archive of 4D-Humans, or the checkpoint that it holds."""
    if is_archive(source) or _names_in_checkpoint(source) >= HMR2_NAMES:
        return TABLE["hmr2"]  # whether an archive holds the checkpoint is seen when it is taken out
    return None


def _members(source: Path) -> list[str]:
    """The names in a zip file; none where it is no zip file."""
    try:
        with zipfile.ZipFile(source) as parts:
            return parts.namelist()
    except zipfile.BadZipFile:
        return []


def _names_in_checkpoint(source: Path) -> set[str]:
    """Every text in the pickle of a file that torch saved; empty where it is none."""
    name = next((name for name in _members(source) if name.endswith("/data.pkl")), None)
    if name is None:
        return set()
    try:
        with zipfile.ZipFile(source) as parts:
            if parts.getinfo(name).file_size > MOST_PICKLE:
                return set()
            with parts.open(name) as stream:
                return {arg for _, arg, _ in pickletools.genops(stream) if isinstance(arg, str)}
    except Exception:  # damaged content may raise nearly anything in zipfile and pickletools
        return set()


def _smpl(source: Path, key: str | None) -> Weights | None:
    """The official body. Its file does not say whose it is, so its name or the user has to."""
    packed = [name for name in _members(source) if re.search(SMPL_PACKED, name, re.IGNORECASE)]
    if packed:
        raise InputError(
            f"{source} is SMPL's download as it is packed.", f"Unpack it, and add the file {packed[0]} in it."
        )
    if source.suffix not in (".pkl", ".npz") or (key is not None and not key.startswith("smpl_")):
        return None
    from models.body.official import check_smpl  # heavy

    check_smpl(source)
    if key is not None and key.startswith("smpl_"):
        return TABLE[key]
    for gender, pattern in SMPL_NAMES.items():
        if re.search(pattern, source.name, re.IGNORECASE):
            return TABLE[f"smpl_{gender}"]
    raise InputError(
        f"{source} is an SMPL model, but its name does not say of which body.",
        "Say so with --as smpl_neutral, smpl_male or smpl_female.",
    )


def _depth_folder(source: Path) -> Weights:
    """Depth Anything V2 as transformers has it, told by its configuration."""
    rows = [row for row in TABLE.values() if row.key.startswith(DEPTH)]
    lacking = [name for name in rows[0].files if not (source / name).is_file()]
    if lacking:
        raise InputError(f"{source} lacks {', '.join(lacking)} of Depth Anything V2.", LIST)
    try:
        config = json.loads((source / "config.json").read_text("utf-8"))
        key = _depth_key(config)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{source / 'config.json'} is not that of Depth Anything V2.", LIST) from error
    row = TABLE[key]
    expected = row.remotes[0].sha256
    if expected and measured(source / row.files[0]).sha256 != expected:
        raise InputError(f"{source / row.files[0]} is not the published one, or damaged.", _where(row))
    return row


def _depth_key(config: dict[str, Any]) -> str:
    size = DEPTH_SIZES[config["backbone_config"]["hidden_size"]]
    if config.get("depth_estimation_type", "relative") == "relative":
        return f"depth_anything_v2_{size}"
    place = {20: "indoor", 80: "outdoor"}[int(config["max_depth"])]
    return f"depth_anything_v2_metric_{place}_{size}"
