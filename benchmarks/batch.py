"""What a folder of clips costs beside the clips themselves.

    python -m benchmarks.batch WORKSPACE [--clips 1000] [--write]

WORKSPACE is a finished one of a run with the default settings. Measured: looking at a folder of that many
clips with everything up to date, each with a copy of WORKSPACE; and requests to a luigid. Simulated: many
workers, in virtual time, at Luigi's own scheduler, whose requests wait for one another as in a luigid; its
work is timed as it is done, the stages take as long as WORKSPACE's did.
"""

import argparse
import heapq
import json
import os
import pickle
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luigi.scheduler import Scheduler

import pipeline  # noqa: F401 - sets the environment of what is imported below
from benchmarks.loop_table import machine
from pipeline import config
from pipeline.batch.scheduling import remote_scheduler
from pipeline.batch.worker import WINDOW
from pipeline.hashing import file_hash
from pipeline.workspace import Workspace
from stages import STAGES
from tests.pipeline.batch.luigid import Luigid

TABLE = Path(__file__).with_suffix(".md")
NAMES = [stage.name for stage in STAGES]
WORKERS = (1, 4, 16, 64, 256, 1024)
NOTICES, NOTICE_SECONDS = 3, 5.0  # requests and their period: progress, message, and that the worker lives
SPREAD = 0.3  # of a stage's time, relative: clips differ
HEADING = """# A folder of clips

`python -m benchmarks.batch WORKSPACE --write`. {machine}.

## Everything up to date
"""


def make_folder(folder: Path, source: Workspace, count: int) -> None:
    """As many clips with finished workspaces; large files are linked, what a call reads is copied."""
    record = json.loads(source.record_path.read_text())
    video = Path(record["video"])
    for number in range(count):
        clip, place = folder / f"clip{number:05}{video.suffix}", folder / f"clip{number:05}.hsplat"
        os.link(video, clip) if video.stat().st_dev == folder.stat().st_dev else shutil.copy2(video, clip)
        shutil.copytree(source.folder, place, copy_function=_linked)
        record["video"] = record["configuration"]["frames"]["video"] = str(clip)
        _rewrite(place / "workspace.json", record)
        status = clip.stat()
        _rewrite(place / "hashes.json", {str(clip): [status.st_size, status.st_mtime_ns, file_hash(clip)]})


def _linked(source: str, target: str) -> None:
    shutil.copy2(source, target) if source.endswith(".json") else os.link(source, target)


def _rewrite(path: Path, data: Any) -> None:
    path.unlink(missing_ok=True)
    path.write_text(json.dumps(data))


def up_to_date(source: Workspace, count: int) -> Iterator[str]:
    """Times whole calls of the command on a folder with nothing to do."""
    yield f"| {count} clips | s | ms a clip |\n|---|---|---|\n"
    with tempfile.TemporaryDirectory(dir=source.folder.parent) as place:
        folder = Path(place)
        make_folder(folder, source, count)
        command = [sys.executable, "-m", "pipeline", "batch", str(folder)]
        for what in ("first call, which draws the pictures of the overview", "the same call again"):
            start = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            seconds = time.perf_counter() - start
            if f"{count} done ({count} of them before)" not in done.stdout:
                raise SystemExit(f"The folder was not up to date: {done.stdout}{done.stderr}")
            yield f"| {what} | {seconds:.1f} | {1000 * seconds / count:.1f} |\n"


def request_seconds() -> float:
    """The mean time of a small request to a luigid on this machine."""
    with tempfile.TemporaryDirectory() as place:
        luigid = Luigid(Path(place))
        luigid.start()
        try:
            scheduler: Any = remote_scheduler(luigid.address)
            start = time.perf_counter()
            for _ in range(300):
                scheduler.ping(worker="one")
            return (time.perf_counter() - start) / 300
        finally:
            luigid.stop()


@dataclass
class Simulation:
    """Workers in virtual time, in the order in which they do things.

    Attributes:
        clips: how many.
        workers: how many, each with a core or GPU of its own.
        seconds: how long each stage takes.
        network: seconds that luigid spends on a request besides the scheduler's own work.
    """

    clips: int
    workers: int
    seconds: dict[str, float]
    network: float
    scheduler: Scheduler = field(default_factory=Scheduler)
    requests: int = 0
    busy: float = 0.0
    _free: float = 0.0
    _dice: random.Random = field(default_factory=lambda: random.Random(1))
    _done: Counter[int] = field(default_factory=Counter)

    def run(self) -> float:
        """The virtual seconds until every clip is done."""
        queue = [(0.0, number, self._worker(f"worker-{number}")) for number in range(self.workers)]
        heapq.heapify(queue)
        end = 0.0
        while queue:
            now, number, worker = heapq.heappop(queue)
            self._now = now
            try:
                heapq.heappush(queue, (next(worker), number, worker))
            except StopIteration:
                end = max(end, now)
        return end

    def _worker(self, name: str) -> Iterator[float]:
        """What a worker process does; yields when it goes on."""
        start = self._dice.randrange(self.clips)
        order = [(start + n) % self.clips for n in range(self.clips)]
        while remaining := [clip for clip in order if self._done[clip] < len(NAMES)]:
            for first in range(0, len(remaining), WINDOW):
                window = [clip for clip in remaining[first : first + WINDOW] if self._done[clip] < len(NAMES)]
                for clip in window:
                    yield self._add(name, clip)
                while window:
                    until, work = self._call("get_work", worker=name, host=name, current_tasks=[])
                    yield until
                    if work["task_id"] is None:
                        break
                    clip, stage = work["task_id"].split()
                    spent = self.seconds[stage] * self._dice.lognormvariate(0.0, SPREAD)
                    until = self._now + spent
                    while self._now < until:
                        for _ in range(NOTICES):
                            self._charge(self.network)
                        yield min(until, self._now + NOTICE_SECONDS)
                    self._done[int(clip)] += 1
                    yield self._call("add_task", worker=name, task_id=work["task_id"], status="DONE")[0]
            yield self._now + 1.0

    def _add(self, name: str, clip: int) -> float:
        until = self._now
        for index in reversed(range(self._done[clip], len(NAMES))):
            needs = [f"{clip} {before}" for before in NAMES[:index]]
            until, _ = self._call("add_task", worker=name, task_id=f"{clip} {NAMES[index]}", deps=needs)
        for index in range(self._done[clip]):
            until, _ = self._call("add_task", worker=name, task_id=f"{clip} {NAMES[index]}", status="DONE")
        return until

    def _call(self, name: str, **arguments: Any) -> tuple[float, Any]:
        began = time.perf_counter()
        answer = getattr(self.scheduler, name)(**arguments)
        return self._charge(time.perf_counter() - began + self.network), answer

    def _charge(self, cost: float) -> float:
        """The virtual time at which luigid, which does one thing at a time, has done a request."""
        self.requests += 1
        self.busy += cost
        self._free = max(self._free, self._now) + cost
        return self._free


def simulated(
    seconds: dict[str, float], network: float, clips: int, workers: tuple[int, ...]
) -> Iterator[str]:
    """A row for every number of workers."""
    alone = sum(seconds.values())
    yield (
        f"\n## Many workers, simulated\n{clips} clips of {alone:.0f} s, a worker having its cores or GPU to "
        f"itself; a request to luigid takes {1000 * network:.1f} ms besides the scheduler's own work.\n\n"
        "| workers | clips an hour | of the ideal | requests to luigid a clip | luigid busy |\n"
        "|---|---|---|---|---|\n"
    )
    for count in workers:
        simulation = Simulation(clips, count, seconds, network)
        end = simulation.run()
        ideal = 3600 * count / alone
        rate = 3600 * clips / end
        yield (
            f"| {count} | {rate:.0f} | {100 * rate / ideal:.0f} % | {simulation.requests / clips:.0f} | "
            f"{100 * simulation.busy / end:.1f} % |\n"
        )


def growth(counts: tuple[int, ...]) -> Iterator[str]:
    """What a scheduler holds and how long it is deaf when it looks for dead workers."""
    yield (
        "\n## What luigid sees\n| clips | tasks | state on disk, MB | "
        "the minute's search for dead workers, s | get_work, ms |\n|---|---|---|---|---|\n"
    )
    for clips in counts:
        scheduler = Scheduler()
        settings = json.dumps({"frames": {"video": "/shared/clips/some/where/clip00000.mp4"}})
        for clip in range(clips):
            for index, stage in enumerate(NAMES):
                scheduler.add_task(
                    worker=f"worker-{clip % 64}",
                    task_id=f"StageTask_{settings[:16]}_{clip:08}_{stage}",
                    deps=[f"StageTask_{settings[:16]}_{clip:08}_{name}" for name in NAMES[:index]],
                    status="PENDING" if clip % 10 == 0 else "DONE",
                    family="StageTask",
                    params={
                        "workspace": f"/shared/{clip:08}.hsplat",
                        "stage": stage,
                        "configuration": settings,
                    },
                )
        start = time.perf_counter()
        scheduler.prune()
        pruning = time.perf_counter() - start
        start = time.perf_counter()
        scheduler.get_work(worker="worker-0", host="a", current_tasks=[])
        asking = time.perf_counter() - start
        size = len(pickle.dumps(scheduler._state.get_state()))
        tasks = clips * len(NAMES)
        yield f"| {clips:,} | {tasks:,} | {size / 1e6:.0f} | {pruning:.2f} | {1000 * asking:.1f} |\n"


def stage_seconds(source: Workspace) -> dict[str, float]:
    """How long each stage of a finished workspace took."""
    config.parsed(source.record().configuration)
    return {name: max(0.01, source.manifest(name).seconds) for name in NAMES}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--simulated", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    options = parser.parse_args()
    source = Workspace(options.workspace)
    parts = [HEADING.format(machine=machine())]
    for part in (
        up_to_date(source, options.clips),
        simulated(stage_seconds(source), request_seconds(), options.simulated, WORKERS),
        growth((1000, 10_000, 50_000)),
    ):
        for text in part:
            print(text, end="", flush=True)
            parts.append(text)
    if options.write:
        TABLE.write_text("".join(parts), "utf-8")


if __name__ == "__main__":
    main()
