"""SMPL's bodies by name: what `weights add` has put into the cache."""

from pathlib import Path

from models import weights

NAMES = {name: key for key in weights.TABLE if key.startswith("smpl_") for name in (key, key[5:])}
"""From what --body takes, such as "female" or "smpl_female", to the key of the weights."""


def body_file(body: Path) -> Path:
    """The file that --body means: SMPL's neutral, male or female body by that name, else the path itself.

    A file of that name in the current folder goes first.

    Raises:
        InputError: that body has not been added; says how to.
    """
    name = str(body)
    return weights.require(NAMES[name]) if name in NAMES and not body.exists() else body
