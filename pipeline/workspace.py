"""One clip's folder: paths, manifests, atomic publication. docs/workspace.md describes every file."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import from_json

import stages
from models.errors import HsplatError, InputError, StageError
from models.files import read_bounded
from pipeline.containment import refuse_links, stays_inside
from pipeline.hashing import Hashes, file_hash, sealed, unsealed
from pipeline.lock import Lock, holder, was_begun, was_held
from pipeline.paths import absolute

MANIFEST = "manifest.json"
RECORD = "workspace.json"
Model = TypeVar("Model", bound=BaseModel)
_FORMAT = 1
_LARGEST = 64 * 2**20  # bytes of a file of JSON; a manifest has some hundred for every file
_LOGS_KEPT = 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_TRIAL = 8 * 2**20  # bytes


def _inside(name: str) -> str:
    if not stays_inside(name):
        raise ValueError("leads out of the folder")
    return name


class Output(BaseModel):
    """A published file as it was when its stage ended."""

    size: int
    mtime_ns: int
    sha256: str


class Manifest(BaseModel):
    """What a published stage is made of; its presence says that the stage is whole."""

    model_config = ConfigDict(extra="forbid")

    stage: str
    version: int
    engine: str
    settings: dict[str, Any]
    files: dict[str, str]
    names: dict[str, str] = {}
    weights: dict[str, str] = {}
    needs: dict[str, str]
    fingerprint: str
    finished: str
    seconds: float
    peak_memory: int
    peak_gpu_memory: int = 0
    summary: dict[str, Any]
    outputs: dict[Annotated[str, AfterValidator(_inside)], Output]


class Record(BaseModel):
    """`workspace.json`: whose workspace it is, and the configuration of its latest run."""

    format: int
    video: Path
    video_sha256: str
    created: str
    configuration: dict[str, Any]


class Damaged(Exception):
    """A file of the workspace is not what the pipeline wrote; the text says how."""


def default_folder(video: Path) -> Path:
    """Where a clip's workspace lies unless the user says otherwise: NAME.hsplat in the current folder."""
    return absolute(Path(f"{video.stem}.hsplat"))


class Workspace:
    """A clip's folder. Making the object touches nothing; `open_for` makes or claims the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = absolute(folder)

    @property
    def record_path(self) -> Path:
        return self.folder / RECORD

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @cached_property
    def hashes(self) -> Hashes:
        return Hashes(self.folder / "hashes.json")

    def stage_folder(self, stage: str) -> Path:
        """The published folder of a stage; it may not exist."""
        return self.folder / stage

    def partial_folder(self, stage: str) -> Path:
        """Where a running stage writes."""
        return self.folder / f".{stage}.partial"

    def _old_folder(self, stage: str) -> Path:
        return self.folder / f".{stage}.old"

    def scratch_folder(self, stage: str, fingerprint: str) -> Path:
        """Where a stage keeps the checkpoints of just this work."""
        return self.folder / f".{stage}.scratch" / fingerprint[:16]

    @property
    def running(self) -> dict[str, Any] | None:
        """The process at work in here, if there is one."""
        return holder(self.folder / "lock")

    @contextmanager
    def open_for(self, video: Path) -> Iterator[None]:
        """Claims the folder for a run on `video`: made if missing, locked, tidied of what a killed run left.

        Raises:
            InputError: it is another video's, not a workspace, in use, holds links, or cannot be written.
        """
        with ExitStack() as held:
            try:
                if os.path.lexists(self.record_path) or os.path.lexists(self.folder / "lock"):
                    refuse_links(self.folder)
                if self.folder.is_dir() and not self._is_ours() and any(self.folder.iterdir()):
                    raise InputError(
                        f"{self.folder} is not a workspace, and not empty.",
                        "Give a new or empty folder with --workspace.",
                    )
                refuse_links(self.folder)
                self.logs.mkdir(parents=True, exist_ok=True)
                held.enter_context(Lock(self.folder / "lock"))
                self._check_owner(video)
                self._recover()
            except OSError as error:
                raise self._unwritable(error) from error
            yield

    def _is_ours(self) -> bool:
        """Whether a run made this folder. Strict, since stages' folders in it are replaced without asking."""
        lock = self.folder / "lock"
        try:
            self.record()
            return lock.is_file()
        except Damaged:
            if _is_json_of_others(self.record_path):
                return False
        except FileNotFoundError:
            if self._ended_at_once():
                return True
        return was_held(lock) and self.logs.is_dir()

    def _ended_at_once(self) -> bool:
        """Whether there is nothing but what a run makes before it can write: killed, or on a full disk."""
        lock = self.folder / "lock"
        if not {*self.folder.iterdir()} <= {lock, self.logs} or not self.logs.is_dir():
            return False
        return not any(self.logs.iterdir()) and (not lock.exists() or was_begun(lock))

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(
            f"The workspace {self.folder} cannot be written: {error.strerror}.",
            "Free some space, or give a folder that you may write with --workspace.",
        )

    def _check_owner(self, video: Path) -> None:
        try:
            record = self.record()
        except (Damaged, FileNotFoundError):
            return  # the fingerprints still tell what is this video's
        if record.video != video and record.video_sha256 != self.hashes.of(video, "VIDEO"):
            raise InputError(
                f"The workspace {self.folder} belongs to another video, {record.video}.",
                f"Give {video.name} its own: --workspace {video.stem}-2.hsplat",
            )

    def _recover(self) -> None:
        """Ends a publication that a kill interrupted between its two renames."""
        for stage in stages.STAGES:
            old, published = self._old_folder(stage.name), self.stage_folder(stage.name)
            if old.exists() and published.exists():
                shutil.rmtree(old)
            elif old.exists():
                old.rename(published)

    def record(self) -> Record:
        """Raises FileNotFoundError where there is none, Damaged where it cannot be read."""
        return read_json(self.record_path, Record)

    def save_record(self, video: Path, configuration: dict[str, Any]) -> None:
        """Notes whose workspace this is and what the present run was asked for."""
        try:
            created = self.record().created
        except (Damaged, FileNotFoundError):
            created = now()
        record = Record(
            format=_FORMAT,
            video=video,
            video_sha256=self.hashes.of(video, "VIDEO"),
            created=created,
            configuration=configuration,
        )
        try:
            self.hashes.save()
            write_json(self.record_path, record)
        except OSError as error:
            raise self._unwritable(error) from error

    def log_path(self) -> Path:
        """A new log's path; the oldest logs make room for it."""
        for old in sorted(self.logs.glob("*.log"))[: -_LOGS_KEPT + 1]:
            old.unlink(missing_ok=True)
        return self.logs / f"{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"

    def manifest(self, stage: str, verify: bool = False) -> Manifest:
        """The manifest of a published stage.

        Args:
            stage: its name.
            verify: read every file and compare its content, and not its size and time alone, which stay as
                they are when a disk errs.

        Raises:
            FileNotFoundError: the stage is not published.
            Damaged: the manifest cannot be read, or the files are not those that it lists.
        """
        folder = self.stage_folder(stage)
        if folder.is_symlink():
            raise Damaged(f"{stage} is a symbolic link")
        manifest = read_json(folder / MANIFEST, Manifest)
        for name, output in manifest.outputs.items():
            if fault := _fault(folder / name, output, verify):
                raise Damaged(f"{stage}/{name} {fault}")
        return manifest

    def forget(self, stage: str) -> None:
        """Makes a stage count as not done; its files stay until new ones take their place."""
        with suppress(NotADirectoryError, IsADirectoryError):  # which no look at it takes for a manifest
            (self.stage_folder(stage) / MANIFEST).unlink(missing_ok=True)

    def invalidate(self, stage: str) -> None:
        """Forgets a stage's result and checkpoints."""
        self.forget(stage)
        self.tidy(stage)

    def tidy(self, stage: str) -> None:
        """Removes what unfinished work on a stage left."""
        shutil.rmtree(self.partial_folder(stage), ignore_errors=True)
        shutil.rmtree(self.folder / f".{stage}.scratch", ignore_errors=True)

    @contextmanager
    def staging(self, stage: str, fingerprint: str) -> Iterator[tuple[Path, Path]]:
        """An empty folder to write in, and the scratch folder; what the disk refuses becomes a StageError.

        The scratch folder outlives a failure or a kill; checkpoints of other work in it are removed.
        """
        partial, scratch = self.partial_folder(stage), self.scratch_folder(stage, fingerprint)
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            scratch.mkdir(parents=True, exist_ok=True)
            for other in scratch.parent.iterdir():
                if other != scratch:
                    shutil.rmtree(other)
            yield partial, scratch
        except HsplatError:
            raise
        except Exception as error:
            if refusal := self.refusal(error):
                raise StageError(*refusal) from error
            raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def refusal(self, error: Exception) -> tuple[str, str] | None:
        """Problem and next step where an error is the disk's fault."""
        number = error.errno if isinstance(error, OSError) else self._disks_word()
        if number in _FULL:
            return f"The disk of {self.folder} is full.", "Free some space, then run again."
        if number in _REFUSED:
            return (
                f"{self.folder} cannot be written: {os.strerror(number or 0)}.",
                "Make it writable, then run again.",
            )
        if number == errno.EIO:
            return f"The disk of {self.folder} fails: {os.strerror(number)}.", "Check it, then run again."
        return None

    def _disks_word(self) -> int | None:
        """What the disk says to a small file: libraries report its refusals in words of their own."""
        trial = self.folder / ".trial"
        try:
            trial.write_bytes(bytes(_TRIAL))
        except OSError as error:
            return error.errno
        finally:
            trial.unlink(missing_ok=True)
        return None

    def publish(self, manifest: Manifest) -> None:
        """Makes the partial folder of a stage the published one, by a rename once all of it is on the disk.

        The one it replaces, whole or damaged, is moved aside first; a kill between the two renames is mended
        by the next run. What has a stage's name in here is ours: `open_for` refuses anybody else's folder.
        """
        stage = manifest.stage
        partial, published, old = (
            self.partial_folder(stage),
            self.stage_folder(stage),
            self._old_folder(stage),
        )
        for path in partial.rglob("*"):
            _sync(path)
        write_json(partial / MANIFEST, manifest)
        if published.exists():
            published.rename(old)
        partial.rename(published)
        _sync(self.folder)
        shutil.rmtree(old, ignore_errors=True)
        self.tidy(stage)


def around(path: Path) -> Path | None:
    """The innermost workspace that a path lies in, its own folder excepted."""
    return next((folder for folder in path.parents if _holds(folder, RECORD)), None)


def stage_around(path: Path) -> Path | None:
    """The folder of a stage, published or not, that a path is or lies in, in whatever workspace.

    One that is not there yet counts, too: publishing the stage would replace what somebody put there.
    """
    path = Path(os.path.realpath(path))
    for folder in (path, *path.parents):
        # A manifest is that of a stage that another version may have.
        if _holds(folder.parent, RECORD) and (_is_stages(folder.name) or _holds(folder, MANIFEST)):
            return folder
    return None


def _is_stages(name: str) -> bool:
    return any(
        name in (stage.name, *(f".{stage.name}.{what}" for what in ("partial", "old", "scratch")))
        for stage in stages.STAGES
    )


def _holds(folder: Path, name: str) -> bool:
    try:
        return (folder / name).is_file()
    except OSError:  # it may not be looked into
        return False


def now() -> str:
    """The time, as manifests write it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def listed(folder: Path) -> dict[str, Output]:
    """Every file below a folder, by its relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _output(path) for path in files}


def _output(path: Path) -> Output:
    stat = path.stat()
    return Output(size=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=file_hash(path))


def _fault(path: Path, output: Output, verify: bool) -> str | None:
    """How a file differs from what was published; one that was only copied or touched does not."""
    try:
        stat = path.stat()
        if stat.st_size != output.size:
            return f"has {stat.st_size} bytes instead of {output.size}"
        if (verify or stat.st_mtime_ns != output.mtime_ns) and file_hash(path) != output.sha256:
            return "was changed"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None


def read_json(path: Path, model: type[Model]) -> Model:
    """What `write_json` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: it cannot be read, or is not as it was written.
    """
    try:
        return model.model_validate(unsealed(from_json(read_bounded(path, _LARGEST))))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Damaged(f"{path.name} cannot be read: {error.strerror}") from error
    except ValueError as error:  # ValidationError is one, too
        raise Damaged(f"{path.name} is damaged") from error


def _is_json_of_others(path: Path) -> bool:
    """Whether a file is whole JSON of another program, and not a record of ours with an error in it."""
    try:
        content = from_json(read_bounded(path, _LARGEST))
    except (OSError, ValueError):
        return False
    missing = Record.model_fields.keys() - (content.keys() if isinstance(content, dict) else set())
    return len(missing) > 1


def write_json(path: Path, model: BaseModel) -> None:
    """Writes a model's JSON, sealed, in one step: readers see the old text or the new."""
    content = sealed(from_json(model.model_dump_json()))
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(content, indent=2, ensure_ascii=False))
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
