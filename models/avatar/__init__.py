"""The avatar and the joint optimisation of avatar and motion."""

from models.avatar.avatar import Avatar
from models.avatar.observations import Evidence
from models.avatar.optimiser import Result, optimise
from models.avatar.posing import PosedGaussians
from models.avatar.settings import OptimiserSettings

__all__ = ["Avatar", "Evidence", "OptimiserSettings", "PosedGaussians", "Result", "optimise"]
