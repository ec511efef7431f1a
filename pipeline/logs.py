"""The log file of a run: versions, machine, settings, times, and every traceback."""

import contextlib
import json
import logging
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from stages.base import Settings
from stages.facts import versions


@contextlib.contextmanager
def logging_to(path: Path, debug: bool = False) -> Iterator[None]:
    """Sends this process's log and Python's warnings to a file for a while; the console stays quiet."""
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level, raising = root.level, logging.raiseExceptions
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a full disk is reported once, not for every line
    try:
        yield
    finally:
        logging.captureWarnings(False)
        logging.raiseExceptions = raising
        root.setLevel(level)
        root.removeHandler(handler)
        with contextlib.suppress(OSError):  # what a full disk did not take
            handler.close()


def log_circumstances(log: logging.Logger, configuration: Settings) -> None:
    """Writes down what a failure report needs: the call, versions, the machine, the settings."""
    memory = psutil.virtual_memory()
    log.info("call %s", json.dumps(sys.argv, ensure_ascii=False))
    log.info("machine %s, %s cores", platform.platform(), os.cpu_count())
    log.info("memory %.1f GiB, %.1f of them free", memory.total / 2**30, memory.available / 2**30)
    log.info("versions %s", ", ".join(f"{name} {version}" for name, version in versions()))
    log.info("configuration %s", configuration.model_dump_json())
