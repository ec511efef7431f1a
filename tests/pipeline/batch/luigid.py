"""A real luigid for tests."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil

# What docs/cluster.md says, in a hurry.
HASTY = """\
[scheduler]
worker_disconnect_delay = 15
retry_delay = 1
prune_on_get_work = true
[resources]
gpu = 2
"""


class Luigid:
    """Luigi's central scheduler on a free port of this machine, its state in a folder.

    Args:
        folder: for its configuration, its state and what it says.
        configuration: the text of its luigi.cfg.
    """

    def __init__(self, folder: Path, configuration: str = HASTY) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}"
        (folder / "luigi.cfg").write_text(configuration)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it answers."""
        program = shutil.which("luigid", path=str(Path(sys.executable).parent)) or "luigid"
        with (self._folder / "luigid.txt").open("ab") as said:
            self._process = subprocess.Popen(
                [
                    sys.executable, program, "--address", "127.0.0.1", "--port", str(self._port),
                    "--state-path", str(self._folder / "state.pickle"),
                ],
                stdout=said,
                stderr=said,
                cwd=self._folder,
                env={**os.environ, "LUIGI_CONFIG_PATH": str(self._folder / "luigi.cfg")},
            )  # fmt: skip
        for _ in range(9600):
            if self._process.poll() is not None:
                break
            try:
                urlopen(f"{self.address}/api/is_pause_enabled", b"data={}", timeout=5).close()
                return
            except (URLError, OSError):
                time.sleep(0.05)
        raise RuntimeError((self._folder / "luigid.txt").read_text())

    def cpu_seconds(self) -> float:
        """The processor time that it has used."""
        assert self._process is not None
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def stop(self) -> None:
        """Ends it as systemd would; it saves its state."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
            self._process = None
