"""The log file of a run: JSON lines with versions, machine, settings, times, and every traceback."""

import contextlib
import json
import logging
import os
import platform
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from stages.base import Settings
from stages.facts import versions

# Whose finer messages --debug adds; numba alone would fill the disk with its own.
_TALKATIVE = ("pipeline", "stages", "models", "luigi", "luigi-interface")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s\"]+(?=@)")


class _Lines(logging.Formatter):
    """Every message as one line of JSON; names and passwords in addresses are left out."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _CREDENTIALS.sub("***", json.dumps(line, ensure_ascii=False, default=str))


class _File(logging.FileHandler):
    """A log that the disk refuses is no reason to end a run."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line, if the file can be opened at all."""
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)


def facts(**values: Any) -> dict[str, dict[str, Any]]:
    """The `extra` of a log call: JSON-able values that get keys of their own in the line."""
    return {"facts": values}


@contextlib.contextmanager
def logging_to(path: Path, debug: bool = False) -> Iterator[None]:
    """Sends this process's log and Python's warnings to a file for a while; the console stays quiet."""
    handler = _File(path, encoding="utf-8", errors="backslashreplace", delay=True)
    handler.setFormatter(_Lines())
    root, talkative = logging.getLogger(), [logging.getLogger(name) for name in _TALKATIVE]
    levels = {logger: logger.level for logger in (root, *talkative)}
    raising = logging.raiseExceptions
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for logger in talkative:
        logger.setLevel(logging.DEBUG if debug else logging.NOTSET)
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a full disk is reported once, not for every line
    try:
        yield
    finally:
        logging.captureWarnings(False)
        logging.raiseExceptions = raising
        for logger, level in levels.items():
            logger.setLevel(level)
        root.removeHandler(handler)
        with contextlib.suppress(OSError):  # what a full disk did not take
            handler.close()


def log_circumstances(log: logging.Logger, configuration: Settings) -> None:
    """Writes down what a failure report needs: the call, versions, the machine, the settings.

    Of the environment nothing: it holds people's passwords.
    """
    memory = psutil.virtual_memory()
    log.info("call", extra=facts(call=sys.argv, pid=os.getpid()))
    log.info(
        "machine",
        extra=facts(
            host=platform.node(),
            system=platform.platform(),
            cores=os.cpu_count(),
            memory=memory.total,
            memory_free=memory.available,
        ),
    )
    log.info("versions", extra=facts(versions=dict(versions())))
    log.info("configuration", extra=facts(configuration=configuration.model_dump(mode="json")))
