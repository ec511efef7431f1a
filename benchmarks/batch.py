"""What a folder of clips costs beside the clips themselves.

    python -m benchmarks.batch WORKSPACE [--clips 1000] [--write]

WORKSPACE is a finished one. Measured: looking at a folder of that many clips with everything up to date, each
with a copy of WORKSPACE; and requests to a luigid. Simulated: many workers, in virtual time, at Luigi's own
scheduler, whose requests wait for one another as in a luigid. Its work is timed as it is done, in CPU time,
so that other programs do not count; the stages take as long as in benchmarks/run.md.
"""

import argparse
import heapq
import json
import os
import pickle
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luigi.scheduler import Scheduler

import pipeline  # noqa: F401 - sets the environment of what is imported below
from benchmarks.loop_table import machine
from pipeline import config
from pipeline.batch import thumbnails
from pipeline.batch.scheduling import remote_scheduler
from pipeline.chain import recorded, state
from pipeline.tasks import text
from pipeline.workspace import Workspace
from stages import STAGES
from tests.pipeline.batch.luigid import Luigid

TABLE = Path(__file__).with_suffix(".md")
NAMES = [stage.name for stage in STAGES]
SECONDS = dict(zip(NAMES, (0.9, 10.9, 10.9, 3.0, 0.01, 41.0, 8.4), strict=True))
WORKERS = (1, 4, 16, 64, 256)
NOTICES, NOTICE_SECONDS = 3, 10.0  # requests and their period: progress, message, and that the worker lives
PAUSE = 5.0  # seconds between a worker's rounds, where everything is at work elsewhere
SPREAD = 0.3  # of a stage's time, relative: clips differ
ON_PAPER = "## On paper\n"
HEADING = """# A folder of clips

`python -m benchmarks.batch WORKSPACE --write`. {machine}.

## Everything up to date
"""


def make_folder(folder: Path, source: Workspace, count: int) -> None:
    """As many clips with finished workspaces; large files are linked, what a call reads is copied."""
    record = source.record()
    video = record.video
    for number in range(count):
        clip, place = folder / f"clip{number:05}{video.suffix}", folder / f"clip{number:05}.hsplat"
        os.link(video, clip) if video.stat().st_dev == folder.stat().st_dev else shutil.copy2(video, clip)
        shutil.copytree(
            source.folder, place, copy_function=_linked, ignore=shutil.ignore_patterns(thumbnails.NAME)
        )
        configuration = deepcopy(record.configuration)
        configuration["frames"]["video"] = str(clip)
        Workspace(place).save_record(clip, configuration)  # and the clip's hash, as a run does


def _linked(source: str, target: str) -> None:
    shutil.copy2(source, target) if source.endswith(".json") else os.link(source, target)


def up_to_date(source: Workspace, count: int) -> Iterator[str]:
    """Times whole calls of the command on a folder with nothing to do."""
    yield f"| {count} clips | s | CPU s | CPU ms a clip |\n|---|---|---|---|\n"
    with tempfile.TemporaryDirectory(dir=source.folder.parent) as place:
        folder = Path(place)
        make_folder(folder, source, count)
        settings = json.loads(text(config.parsed(source.record().configuration)))
        del settings["frames"]["video"]
        (folder / "settings.yaml").write_text(json.dumps(settings))
        command = [
            sys.executable, "-m", "pipeline", "batch", str(folder), "--config", str(folder / "settings.yaml")
        ]  # fmt: skip
        for what in ("first call, which draws the pictures of the overview", "the same call again"):
            start, before = time.perf_counter(), _children_seconds()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            seconds, cpu = time.perf_counter() - start, _children_seconds() - before
            if f"{count} done ({count} of them before)" not in done.stdout:
                raise SystemExit(f"The folder was not up to date: {done.stdout}{done.stderr}")
            yield f"| {what} | {seconds:.1f} | {cpu:.1f} | {1000 * cpu / count:.1f} |\n"


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def request_seconds() -> float:
    """The mean CPU time that a luigid on this machine spends on a small request."""
    with tempfile.TemporaryDirectory() as place:
        luigid = Luigid(Path(place))
        luigid.start()
        try:
            scheduler: Any = remote_scheduler(luigid.address)
            before = luigid.cpu_seconds()
            for _ in range(500):
                scheduler.ping(worker="one")
            return (luigid.cpu_seconds() - before) / 500
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
    _now: float = 0.0
    _free: float = 0.0
    _dice: random.Random = field(default_factory=lambda: random.Random(1))
    _done: Counter[int] = field(default_factory=Counter)  # stages of each clip
    _busy_clips: set[int] = field(default_factory=set)

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
            for clip in remaining:
                if clip in self._busy_clips or self._done[clip] == len(NAMES):
                    continue
                yield self._add(name, clip)
                yield from self._work(name)
            yield self._now + PAUSE

    def _work(self, name: str) -> Iterator[float]:
        """Takes stages until the scheduler has none for this worker."""
        while True:
            until, given = self._call("get_work", worker=name, host=name, current_tasks=[])
            yield until
            if given["task_id"] is None:
                return
            number, stage = given["task_id"].split()
            self._busy_clips.add(int(number))
            until = self._now + self.seconds[stage] * self._dice.lognormvariate(0.0, SPREAD)
            while self._now < until:
                for _ in range(NOTICES):
                    self._charge(self.network)
                yield min(until, self._now + NOTICE_SECONDS)
            self._busy_clips.discard(int(number))
            self._done[int(number)] += 1
            yield self._call("add_task", worker=name, task_id=given["task_id"], status="DONE")[0]

    def _add(self, name: str, clip: int) -> float:
        until = self._now
        for index in reversed(range(self._done[clip], len(NAMES))):
            needs = [f"{clip} {before}" for before in NAMES[:index]]
            until, _ = self._call("add_task", worker=name, task_id=f"{clip} {NAMES[index]}", deps=needs)
        for index in range(self._done[clip]):
            until, _ = self._call("add_task", worker=name, task_id=f"{clip} {NAMES[index]}", status="DONE")
        return until

    def _call(self, name: str, **arguments: Any) -> tuple[float, Any]:
        began = time.process_time()
        answer = getattr(self.scheduler, name)(**arguments)
        return self._charge(time.process_time() - began + self.network), answer

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
        start = time.process_time()
        scheduler.prune()
        pruning = time.process_time() - start
        start = time.process_time()
        scheduler.get_work(worker="worker-0", host="a", current_tasks=[])
        asking = time.process_time() - start
        size = len(pickle.dumps(scheduler._state.get_state()))
        tasks = clips * len(NAMES)
        yield f"| {clips:,} | {tasks:,} | {size / 1e6:.0f} | {pruning:.2f} | {1000 * asking:.1f} |\n"


def reckoned() -> Iterator[str]:
    """What the page says on paper, by hand; it stays, and is to be looked at when the tables change."""
    _, heading, rest = TABLE.read_text("utf-8").partition(ON_PAPER)
    yield heading + rest


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--simulated", type=int, default=1000)
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    options = parser.parse_args()
    source = Workspace(options.workspace)
    if any(not state(source, step).done for step in recorded(source)):
        raise SystemExit(f"{source.folder} is out of date; finish it with run.")
    parts = [HEADING.format(machine=machine())]
    for part in (
        up_to_date(source, options.clips),
        simulated(SECONDS, request_seconds(), options.simulated, WORKERS),
        growth((1000, 10_000)),
    ):
        for line in part:
            print(line, end="", flush=True)
            parts.append(line)
    if options.write:
        TABLE.write_text("".join([*parts, "\n", *reckoned()]), "utf-8")


if __name__ == "__main__":
    main()
