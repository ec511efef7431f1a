"""SMPL's bodies by name: what `weights add` has put into the cache."""

from pathlib import Path

from models import weights

NAMES = ("neutral", "male", "female")


def body_file(body: Path) -> Path:
    """The file that --body means: SMPL's neutral, male or female body by that name, else the path itself.

    Raises:
        InputError: that body has not been added; says how to.
    """
    return weights.require(f"smpl_{body}") if str(body) in NAMES else body
