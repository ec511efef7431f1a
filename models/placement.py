"""A module's constants on the device of the work, copied there once: every copy would wait for it."""

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=256)
def placed(constant: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """The constant on `device`, as `dtype` or as it is. Neither it nor the result may be changed in place."""
    return constant.to(device, dtype)


@lru_cache(maxsize=256)
def placed_indices(indices: tuple[int, ...], device: torch.device) -> Tensor:
    """Indices as int64 on `device`."""
    return torch.tensor(indices, device=device)
