"""The page that tells a person what was made, how good it is and what to do better: one file, no network."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
from jinja2 import Environment, PackageLoader, StrictUndefined

from models.drawing import Image
from stages.export.charts import Chart

JPEG_QUALITY = 85


@dataclass(frozen=True)
class Tile:
    """One figure of the summary on top."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture in the page, inlined as JPEG."""

    caption: str
    image: Image

    @property
    def source(self) -> str:
        """The picture as a data URI."""
        pixels = cv2.cvtColor(self.image, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()

    @property
    def width(self) -> int:
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        return int(self.image.shape[0])


@dataclass(frozen=True)
class Comparison:
    """A figure before and after the optimisation, as text; a dash where it is not known."""

    name: str
    before: str
    after: str
    meaning: str


@dataclass(frozen=True)
class StageRow:
    """What ran: a row per stage. `settings` and `facts` are name and value as text."""

    title: str
    engine: str
    seconds: str
    memory: str
    facts: Sequence[tuple[str, str]]
    settings: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class OutputFile:
    """A file beside the report."""

    name: str
    meaning: str
    size: str


@dataclass(frozen=True)
class Page:
    """Everything that the report shows."""

    title: str
    subtitle: str
    tiles: Sequence[Tile]
    advice: Sequence[str]
    views: Sequence[Picture]
    coverage: Picture | None
    first_frame: Picture | None
    frames: Sequence[Picture]
    comparisons: Sequence[Comparison]
    charts: Sequence[Chart]
    stages: Sequence[StageRow]
    files: Sequence[OutputFile]


def write_page(path: Path, page: Page) -> None:
    """Writes the page as one HTML file with everything in it."""
    environment = Environment(
        loader=PackageLoader("stages.export"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    path.write_text(environment.get_template("page.html.j2").render(page=page), encoding="utf-8")
