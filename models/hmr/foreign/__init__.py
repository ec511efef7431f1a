"""Poses that other programs found: PHALP (4D-Humans), WHAM, GVHMR and TRAM; docs/formats.md has the keys."""

from models.hmr.foreign.choosing import Chosen, choose
from models.hmr.foreign.opening import is_foreign
from models.hmr.foreign.people import Person
from models.hmr.foreign.programs import read_people

__all__ = ["Chosen", "Person", "choose", "is_foreign", "read_people"]
