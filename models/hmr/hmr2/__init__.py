"""HMR 2.0: the network, its crops, its camera, its released weights."""

from models.hmr.hmr2.checkpoint import load_network
from models.hmr.hmr2.network import RELEASED, Hmr2, Size

__all__ = ["RELEASED", "Hmr2", "Size", "load_network"]
