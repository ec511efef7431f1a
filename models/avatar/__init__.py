"""The avatar and the joint optimisation of avatar and motion."""

from models.avatar.avatar import Avatar
from models.avatar.posing import PosedGaussians

__all__ = ["Avatar", "PosedGaussians"]
