"""The disk's limits as the user should hear of them."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import StageError


@contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """Turn a full disk or an exceeded quota into a StageError."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StageError(f"No room left on the disk of {folder}.", "Make room and run again.") from error
