"""From a person's probability per pixel to a silhouette with the picture's edges."""

from models.segmentation.scene import Background, Scene, learn_scene
from models.segmentation.silhouette import refine_silhouette

__all__ = ["Background", "Scene", "learn_scene", "refine_silhouette"]
