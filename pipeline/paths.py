"""Paths as users write them."""

from pathlib import Path

from models.errors import InputError


def absolute(path: Path) -> Path:
    """The path from the root on, `~` replaced; relative ones count from the current folder.

    Raises:
        InputError: there is no such home folder, or the current folder has been deleted.
    """
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise InputError(f"{path}: there is no such home folder.", "Write the path in full.") from error
    except FileNotFoundError as error:
        raise InputError("The current folder has been deleted.", "Change into another one.") from error
