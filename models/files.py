"""Users' files, opened so that none of them can hang the reader or fill the memory."""

import errno
import io
import os
import stat
from pathlib import Path


def open_regular(path: Path) -> io.BufferedReader:
    """Opens a regular file to read; a pipe would block for ever, and a device never ends.

    Raises:
        OSError: it cannot be opened, or is no regular file; `strerror` says which.
    """
    stream = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: PTH123, SIM115
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return stream


def read_bounded(path: Path, most: int) -> bytes:
    """The whole of a regular file of at most `most` bytes.

    Raises:
        OSError: it cannot be read, is no regular file or larger; `strerror` says which.
    """
    with open_regular(path) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        size = f"{most >> 20} MiB" if most >> 20 else f"{most >> 10} KiB"
        raise OSError(errno.EINVAL, f"it has more than {size}", str(path))
    return content
