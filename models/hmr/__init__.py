"""Human mesh recovery: SMPL poses in camera space from what is seen of a person."""

from models.hmr.inverse_kinematics import PoseFit, fit_poses, standing_height, with_height

__all__ = ["PoseFit", "fit_poses", "standing_height", "with_height"]
