"""Takes single files out of a tar archive, whatever else it holds."""

import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from models.errors import InputError

CHUNK = 2**20  # bytes
AGAIN = "Get it again; if that repeats, the archive is another than the one meant."
MOST_MEMBERS = 100_000
MOST_BYTES = 64 * 2**30  # of all members together; decompressing more is somebody's trick

Progress = Callable[[int, int, str], None]


def is_archive(path: Path) -> bool:
    """Whether a file begins like a tar archive, compressed or not."""
    try:
        return tarfile.is_tarfile(path)
    except (EOFError, zlib.error):  # compressed and damaged
        return False


def take(archive: Path, names: Sequence[str], target: Path, progress: Progress) -> None:
    """Writes the members `names` to the same names below `target`.

    Only these are written, under the names that we gave, so nothing that the archive says can lead elsewhere.
    An archive may have its files in a folder of any name: a member counts that ends in the wanted name.

    Args:
        progress: told bytes done, bytes in all and what goes on.

    Raises:
        InputError: it is no tar archive, damaged, lacks a name or has a link in its place, or is immense.
        OSError: the disk is full, or the target cannot be written.
    """
    lacking = set(names)
    seen = 0
    try:
        with tarfile.open(archive, "r|*") as members:
            for number, member in enumerate(members):
                seen += member.size
                if number >= MOST_MEMBERS or seen > MOST_BYTES:
                    raise InputError(f"{archive} unpacks to more than weights can be.", AGAIN)
                name = _wanted(member.name, lacking)
                if name is None:
                    continue
                if not member.isreg():
                    raise InputError(f"{archive} has something else than a file at {name}.", AGAIN)
                _copy(members, member, target / name, progress)
                lacking.discard(name)
                if not lacking:
                    return
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise InputError(f"{archive} is damaged or cut off: {error}.", AGAIN) from error
    raise InputError(f"{archive} lacks {', '.join(sorted(lacking))}.", AGAIN)


def _wanted(member: str, names: set[str]) -> str | None:
    parts = PurePosixPath(member).parts
    wanted = {name: PurePosixPath(name).parts for name in names}
    return next((name for name, ending in wanted.items() if parts[-len(ending) :] == ending), None)


def _copy(members: tarfile.TarFile, member: tarfile.TarInfo, path: Path, progress: Progress) -> None:
    content = members.extractfile(member)
    assert content is not None  # a regular file has content
    path.parent.mkdir(parents=True, exist_ok=True)
    done = 0
    with path.open("wb") as stream:
        while chunk := content.read(CHUNK):
            stream.write(chunk)
            done += len(chunk)
            progress(done, member.size, "unpacking")
    if done != member.size:
        raise tarfile.ReadError(f"{member.name} ends after {done} of {member.size} bytes")
