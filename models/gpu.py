"""The GPU: whether there is one, whether gsplat can run on it, and its memory.

Apart from `models.rasterizer` and `models.devices`, whose import loads torch: on a machine without a driver
nothing here does.
"""

import ctypes
import gc
import os
import shutil
import sys
from dataclasses import dataclass
from importlib import util
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

DEFAULT_TOOLKIT = Path("/usr/local/cuda")
NEXT_STEP = "Install NVIDIA's driver, then check with nvidia-smi; or use --device cpu."


@dataclass(frozen=True)
class Lack:
    """What keeps gsplat from running.

    Attributes:
        problem: what is missing, a sentence without its full stop.
        mend: what to do about it, as an imperative.
    """

    problem: str
    mend: str


def device() -> str | None:
    """The name of the first CUDA device that torch can use; torch is loaded only where a driver is."""
    try:
        ctypes.CDLL("libcuda.so.1")
        import torch

        return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    except (OSError, ImportError, RuntimeError):
        return None


def count() -> int:
    """How many CUDA devices torch can use; torch is loaded only where a driver is."""
    if device() is None:
        return 0
    import torch

    return int(torch.cuda.device_count())


def choose(index: int) -> None:
    """Makes a CUDA device the one that this process's tensors go to by default."""
    import torch

    torch.cuda.set_device(index)


def lack() -> Lack | None:
    """The first thing that gsplat needs and that is not here; None where it can run."""
    if device() is None:
        return Lack("there is no usable CUDA device", "install NVIDIA's driver, then check with nvidia-smi")
    spec = util.find_spec("gsplat")
    if spec is None or spec.origin is None:
        return Lack("the package gsplat is not installed", "run make sync")
    if _is_compiled(Path(spec.origin).parent) or _has_toolkit():
        return None
    return Lack(
        "gsplat builds its kernels with nvcc, and no CUDA toolkit is found",
        f"install the CUDA toolkit of torch's version ({_torchs_cuda()}) and set CUDA_HOME to its folder",
    )


def _is_compiled(package: Path) -> bool:
    """Whether the wheel brought its kernels; what gsplat built itself it loads only beside a toolkit."""
    return any((package / f"csrc{suffix}").is_file() for suffix in EXTENSION_SUFFIXES)


def _has_toolkit() -> bool:
    """Looks where torch's extension builder does: CUDA_HOME, CUDA_PATH, PATH, the usual folder."""
    homes = [Path(os.environ[name]) for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    compilers = [home / "bin" / "nvcc" for home in (*homes, DEFAULT_TOOLKIT)]
    return shutil.which("nvcc") is not None or any(compiler.is_file() for compiler in compilers)


def _torchs_cuda() -> str:
    import torch

    return str(torch.version.cuda)


def peak_memory() -> int:
    """Bytes of the GPU that this process held at most since `forget_peak_memory`; 0 if it used none."""
    cuda = _cuda_in_use()
    return int(cuda.max_memory_reserved()) if cuda else 0


def forget_peak_memory() -> None:
    """Starts the record of the peak anew."""
    if cuda := _cuda_in_use():
        cuda.reset_peak_memory_stats()


def release() -> None:
    """Gives back the memory of models that nobody holds any more."""
    gc.collect()
    if cuda := _cuda_in_use():
        cuda.empty_cache()


def _cuda_in_use() -> Any:
    """torch.cuda where something in this process has used it; looking must neither load nor start it."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None
