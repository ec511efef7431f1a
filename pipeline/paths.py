"""Paths as users write them."""

from pathlib import Path

from models.errors import InputError


def absolute(path: Path) -> Path:
    """The path from the root on, `~` replaced; relative ones count from the current folder.

    Raises:
        InputError: there is no such home folder, the current folder has been deleted, the path holds a zero
            byte, or it is not valid UTF-8, which some libraries end the whole process at.
    """
    try:
        path = path.expanduser().absolute()
        str(path).encode()
        if "\0" in str(path):
            raise InputError(f"The path {str(path)!r} is none: it holds a zero byte.", "Check its spelling.")
        return path
    except UnicodeEncodeError as error:
        raise InputError(f"The path {str(path)!r} is not valid UTF-8.", "Rename it.") from error
    except RuntimeError as error:
        raise InputError(f"{path}: there is no such home folder.", "Write the path in full.") from error
    except FileNotFoundError as error:
        raise InputError("The current folder has been deleted.", "Change into another one.") from error
