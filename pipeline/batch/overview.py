"""What a batch leaves: index.html for people, with a picture of every clip, and summary.csv for programs."""

import csv
import io
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from models.errors import InputError, StageError
from pipeline.batch.clips import Shard
from pipeline.batch.outcomes import Outcome
from pipeline.batch.thumbnails import thumbnail
from pipeline.console import duration, escaped
from stages.pages import templates

COLUMNS = (
    "clip", "result", "stage", "reason", "seconds", "finished",
    "psnr", "ssim", "iou", "workspace", "report",
)  # fmt: skip
_MARK = '<meta name="generator" content="hsplat-pipeline batch">'
_FORMULA = ("=", "+", "-", "@")  # what spreadsheets would compute


def paths(place: Path, shard: Shard | None) -> tuple[Path, Path]:
    """Where the page and the table go; the parts of a folder have their own."""
    part = f"-{shard.number}-of-{shard.count}" if shard else ""
    return place / f"index{part}.html", place / f"summary{part}.csv"


def refuse_place(place: Path, shard: Shard | None) -> None:
    """Raises InputError where the page or the table cannot be written, or would replace another program's."""
    advice = "Give another place with --output."
    there = next(path for path in (place, *place.parents) if os.path.lexists(path))  # the rest will be made
    if not there.is_dir():
        raise InputError(f"{there} is not a folder.", advice)
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{there} cannot be written.", advice)
    page, table = paths(place, shard)
    for path, ours in ((page, _MARK), (table, ",".join(COLUMNS))):
        if os.path.lexists(path) and ours not in _beginning(path):
            raise InputError(
                f"{path} was not written by this program, and would be replaced.",
                f"Move it away, or g{advice[1:]}",
            )


def _beginning(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(2000).decode("utf-8", "replace")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Move it away.") from error


def write(place: Path, outcomes: Sequence[Outcome], shard: Shard | None = None) -> Path:
    """Writes both files, each in one step; gives the page's path.

    Args:
        place: the folder; made if it is missing.
        outcomes: every clip.
        shard: which part of the folder they are.

    Raises:
        StageError: the folder cannot be written.
    """
    page, table = paths(place, shard)
    try:
        place.mkdir(parents=True, exist_ok=True)
        _publish(table, _table(outcomes, place))
        _publish(page, _page(outcomes, place, shard))
    except OSError as error:
        raise StageError(
            f"The overview in {place} cannot be written: {error.strerror}.",
            "Make it writable or free some space, then repeat the call.",
        ) from error
    return page


def _publish(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, "utf-8", newline="")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _table(outcomes: Sequence[Outcome], place: Path) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for outcome in outcomes:
        failure, held_out = outcome.failure, _held_out(outcome)
        rows.writerow(
            map(
                _cell,
                (
                    outcome.clip.name,
                    outcome.result,
                    failure.stage if failure else "",
                    f"{failure.problem} {failure.next_step}".strip() if failure else "",
                    round(sum(outcome.seconds.values()), 1) if outcome.seconds else "",
                    outcome.finished,
                    *(held_out.get(name, "") for name in ("psnr", "ssim", "iou")),
                    os.path.relpath(outcome.clip.folder, place),
                    os.path.relpath(outcome.report, place) if outcome.report else "",
                ),
            )
        )
    return text.getvalue()


def _cell(value: Any) -> str:
    """Text that a spreadsheet shows and never computes, on one line."""
    text = escaped(str(value))
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


def _held_out(outcome: Outcome) -> dict[str, float]:
    """The agreement with pictures that the optimisation did not see."""
    measures = outcome.figures.get("held_out")
    found = measures.get("fitted poses") if isinstance(measures, dict) else None
    return {name: round(value, 4) for name, value in found.items()} if isinstance(found, dict) else {}


def _page(outcomes: Sequence[Outcome], place: Path, shard: Shard | None) -> str:
    return (
        templates("pipeline.batch")
        .get_template("index.html.j2")
        .render(
            title=place.name or str(place),
            written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            done=sum(outcome.result == "done" for outcome in outcomes),
            failed=sum(outcome.result == "failed" for outcome in outcomes),
            table=paths(place, shard)[1].name,
            clips=[_card(outcome, place) for outcome in outcomes],
        )
    )


def _card(outcome: Outcome, place: Path) -> dict[str, Any]:
    picture = thumbnail(outcome) if outcome.result == "done" else None
    failure, held_out = outcome.failure, _held_out(outcome)
    return {
        "name": outcome.clip.name,
        "result": outcome.result,
        "stage": failure.stage if failure else "",
        "reason": escaped(failure.problem) if failure else "",
        "next_step": escaped(failure.next_step) if failure else "",
        "time": duration(sum(outcome.seconds.values())) if outcome.seconds else "",
        "psnr": f"{held_out['psnr']:.1f} dB" if "psnr" in held_out else "",
        "report": _link(outcome.report, place) if outcome.report else "",
        "folder": _link(outcome.clip.folder, place),
        "picture": _link(picture, place) if picture else "",
    }


def _link(path: Path, place: Path) -> str:
    """A relative address; begins with a dot, so that no name is taken for a protocol."""
    return "./" + quote(os.fsencode(os.path.relpath(path, place)), safe="/")
