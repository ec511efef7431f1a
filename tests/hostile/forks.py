"""Calls of the command line, each in a process of its own with limits; they share the time of the imports.

`python -m tests.hostile.forks` reads lists of arguments, a line of JSON each, and answers each with a line.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

MEMORY = 3 * 2**30  # bytes of address space, for the process and each of its children
SECONDS = 60  # of the processor, for the process and each of its children
PATIENCE = 250  # seconds on the wall, on a machine that is busy with other things
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """How a call ended.

    Attributes:
        status: the exit status; negative is the signal that killed it.
        said: what it wrote.
        left: whether it left a process behind.
    """

    status: int
    said: str
    left: bool


class Forks:
    """The process that the calls are forked from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.forks"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]

    def call(self, *arguments: object) -> Ended:
        """`hsplat-pipeline ARGUMENTS` in the folder."""
        request = {"arguments": [str(argument) for argument in arguments], "folder": str(self._folder)}
        assert self._process.stdin and self._process.stdout
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return Ended(**json.loads(self._process.stdout.readline()))


def _serve() -> None:
    import stages.frames  # noqa: F401, heavy

    for line in sys.stdin:
        request = json.loads(line)
        said = Path(request["folder"]) / "said.txt"
        child = os.fork()
        if child == 0:
            _be_called(request, said)
        status = _waited(child)
        print(
            json.dumps({"status": status, "said": said.read_text(errors="replace"), "left": _left(child)}),
            flush=True,
        )


def _be_called(request: dict[str, Any], said: Path) -> None:
    """Turns this process into a call of the command line."""
    os.setsid()
    os.chdir(request["folder"])
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    sys.argv = ["hsplat-pipeline", *request["arguments"]]
    status = 70
    try:
        from pipeline.__main__ import main

        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _waited(child: int) -> int:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGALRM


def _left(session: int) -> bool:
    """Whether a process of the call's session is still there; it is ended."""
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    _serve()
