"""The page that tells a person what was made, how good it is and what to do better: one file, no network."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
from markupsafe import Markup

from models.drawing import Image
from stages.export.charts import Chart, Plan
from stages.pages import templates

JPEG_QUALITY = 85


@dataclass(frozen=True)
class Summary:
    """What a reader takes away who reads nothing else."""

    made: str
    quality: str
    filming: Sequence[str]


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
class Slider:
    """Two pictures of equal size that a reader wipes between; on paper they lie side by side."""

    name: str
    before: Picture
    after: Picture


@dataclass(frozen=True)
class Moment:
    """A frame that the reader can choose."""

    name: str
    sliders: Sequence[Slider]


@dataclass(frozen=True)
class Comparison:
    """A figure before and after the optimisation, as text; a dash where it is not known."""

    name: str
    before: str
    after: str
    meaning: str


@dataclass(frozen=True)
class JointRow:
    """How a joint changed, as text; `share` in [0, 1] is its bar's length."""

    name: str
    mean: str
    share: float
    largest: str
    moved: str


@dataclass(frozen=True)
class StageRow:
    """What ran: a row per stage. `settings` and `facts` are name and value as text, shares bars' lengths."""

    title: str
    engine: str
    seconds: str
    time_share: float
    memory: str
    memory_share: float
    facts: Sequence[tuple[str, str]]
    settings: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class OutputFile:
    """A file beside the report."""

    name: str
    meaning: str
    size: str
    opened_with: str = ""


@dataclass(frozen=True)
class Page:
    """Everything that the report shows.

    Attributes:
        sides_seen: a side's name, its frames, and all frames.
        more_formats: names that the command `export` takes, and what they are.
    """

    title: str
    subtitle: str
    summary: Summary
    tiles: Sequence[Tile]
    advice: Sequence[str]
    views: Sequence[Picture]
    coverage: Picture | None
    sides_seen: Sequence[tuple[str, int, int]]
    first_frame: Picture | None
    moments: Sequence[Moment]
    comparisons: Sequence[Comparison]
    charts: Sequence[Chart | Plan]
    joints: Sequence[JointRow]
    training: Sequence[Chart]
    stages: Sequence[StageRow]
    command: str
    versions: Sequence[tuple[str, str]]
    files: Sequence[OutputFile]
    more_formats: Sequence[tuple[str, str]]


def write_page(path: Path, page: Page) -> None:
    """Writes the page as one HTML file that holds everything; its policy forbids to load or run more."""
    environment = templates("stages.export")
    script = environment.get_template("page.js").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = environment.get_template("page.html.j2").render(page=page, script=Markup(script), digest=digest)
    path.write_text(text, encoding="utf-8")
