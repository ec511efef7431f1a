"""People in a clip: found, followed, and their landmarks seen."""

from models.people.landmarks import Landmarks
from models.people.tracking import Circle, Detection, Track, Tracker

__all__ = ["Circle", "Detection", "Landmarks", "Track", "Tracker"]
