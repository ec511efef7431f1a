"""A workspace that may come from anybody leads nowhere else."""

import os
from pathlib import Path, PurePosixPath

from models.errors import InputError


def refuse_links(folder: Path) -> None:
    """Looks through a workspace for symbolic links, through which it would be written or read elsewhere, and
    for pipes and devices.

    The folder itself may be one; that is its owner's choice. No pipeline's run makes any in it.

    Raises:
        InputError: there is one.
    """
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink() or (path.exists() and not path.is_dir() and not path.is_file()):
                raise InputError(
                    f"{path} is a symbolic link, or no file at all, and could lead out of the workspace.",
                    "Remove it, or put what it stands for in its place, and run again.",
                )


def stays_inside(name: str) -> bool:
    """Whether a relative path in a manifest stays below the folder that it counts from."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name
