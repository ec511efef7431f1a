"""Luigi's scheduler as workers see it: in the parent process, or a luigid somewhere in the network."""

import threading
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlsplit

import luigi
from luigi.rpc import RemoteScheduler, RPCError
from luigi.scheduler import Scheduler

from models.errors import InputError
from pipeline.batch.events import Event

UNREACHABLE = RPCError


class Line:
    """A worker's connection to its parent: events one way, and calls of the parent's scheduler.

    Args:
        connection: the worker's end.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._busy = threading.Lock()  # Luigi tells from a thread of its own that the worker lives

    def tell(self, event: Event) -> None:
        """Sends an event."""
        with self._busy:
            self._connection.send(event)

    def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Calls a method of the parent's scheduler."""
        with self._busy:
            self._connection.send((name, arguments, options))
            return self._connection.recv()


class ParentsScheduler:
    """The parent's scheduler, with all its methods."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._line.call, name)


def answer(scheduler: Scheduler, connection: Connection, call: tuple[str, tuple[Any, ...], Any]) -> None:
    """The parent's side of `Line.call`."""
    name, arguments, options = call
    connection.send(getattr(scheduler, name)(*arguments, **options))


def own_scheduler(gpus: int) -> Scheduler:
    """A scheduler for this call alone, with as many GPUs to give away as there are."""
    return Scheduler(resources={"gpu": max(1, gpus)})


def remote_scheduler(address: str) -> Any:
    """The luigid at an address; calls fail with UNREACHABLE within seconds where it does not answer."""
    settings = luigi.configuration.get_config()
    for name, value in (("attempts", "3"), ("wait", "1")):
        settings.set("core", f"rpc-retry-{name}", value)
    settings.set("core", "rpc-log-retries", "false")
    return RemoteScheduler(address)


def check_scheduler(address: str) -> None:
    """Asks a luigid whether it is there.

    Raises:
        InputError: the address is none, nobody answers, or it is not a luigid.
    """
    advice = "Start one with luigid, or leave --scheduler out."
    if not _is_address(address):
        raise InputError(f"{address} is not the address of a scheduler.", "Example: http://host:8082")
    try:
        told = remote_scheduler(address).is_pause_enabled()
    except UNREACHABLE as error:
        raise InputError(f"The scheduler {address} does not answer.", advice) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"What answers at {address} is not luigid.", advice) from error
    if not isinstance(told, dict):
        raise InputError(f"What answers at {address} is not luigid.", advice)


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half of an IPv6 address, a port that is no number or too large
        return False


class Noticeboard:
    """Shows on luigid's page how far a task is, from a thread: a slow network never holds up a stage."""

    PAUSE = 10.0  # seconds between two notices; with hundreds of workers luigid has much to read

    def __init__(self, address: str) -> None:
        self._address = address
        self._notice: tuple[str, int, str] | None = None
        self._changed = threading.Event()
        threading.Thread(target=self._show, daemon=True).start()

    def put(self, task: str, percent: int, message: str) -> None:
        """Takes the place of what was there."""
        self._notice = (task, percent, message)
        self._changed.set()

    def _show(self) -> None:
        scheduler = remote_scheduler(self._address)
        shown: tuple[str, int, str] | None = None
        while self._changed.wait():
            self._changed.clear()
            notice = self._notice
            if notice is None or notice == shown:
                continue
            task, percent, message = notice
            try:
                scheduler.set_task_status_message(task, message)
                scheduler.set_task_progress_percentage(task, percent)
                shown = notice
            except UNREACHABLE:
                pass  # the worker itself tells its parent when it needs the scheduler
            threading.Event().wait(self.PAUSE)
