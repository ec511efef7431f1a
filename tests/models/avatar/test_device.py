"""Steps on a device that is not the CPU: what they must never wait for, and CUDA against the CPU."""

import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import gsplat
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from models.avatar import Evidence, alignment, coupling, optimise
from models.avatar.phases import Phase
from models.avatar.surface import neighbours, spread
from models.body import BodyModel
from models.rasterizer import rendering
from tests.models.avatar.scenes import filmed
from tests.models.avatar.steps import (
    KINDS,
    crops_of,
    evidence_with_everything,
    plan_of,
    scene_of,
    settings_for,
)
from tests.models.avatar.test_optimiser import SHORT

FRAMES = list(range(9))
# They give the host a number, or a tensor whose size depends on values.
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal", "is_nonzero", "bincount")
NO_KERNEL = (
    "view", "unsqueeze", "squeeze", "slice", "select", "expand", "permute", "transpose", "detach", "t",
    "split", "unbind", "alias", "_unsafe_view", "as_strided", "_reshape_alias", "empty",
    "empty_like", "empty_strided", "new_empty", "diagonal",
)  # fmt: skip


class Watch(TorchDispatchMode):
    """Counts operations, and notes those that would wait for a device or bring it something from the host."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.launches: Counter[str] = Counter()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = function._schema.name.removeprefix("aten::")
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        from_host = name == "lift_fresh" or any(tensor.device.type == "cpu" for tensor in tensors)
        by_mask = name.startswith("index") and any(tensor.dtype == torch.bool for tensor in tensors[1:])
        if from_host or by_mask or name in WAITING or function in _MEDIANS:
            self.waits.append(name)
        if name not in NO_KERNEL:
            self.launches[name] += 1
        return function(*args, **kwargs)


_MEDIANS = (torch.ops.aten.median.default, torch.ops.aten.nanmedian.default)


class ShapesOnly:
    """gsplat's functions, as far as shapes go."""

    @staticmethod
    def fully_fused_projection(
        means: Tensor, upper: Tensor, _q: None, _s: None, _v: Tensor, _K: Tensor, *_: int, opacities: Tensor
    ) -> tuple[Tensor | None, ...]:
        depths = (means.sum(-1) + upper.sum(-1) + opacities)[..., None, :]
        pair = depths[..., None].expand(*depths.shape, 2)
        return torch.zeros_like(pair), pair, depths, depths[..., None].expand(*depths.shape, 3), None

    @staticmethod
    def isect_tiles(centers: Tensor, *_: Any) -> tuple[None, Tensor, Tensor]:
        return None, centers.new_zeros(7), centers.new_zeros(7)

    @staticmethod
    def isect_offset_encode(pairs: Tensor, count: int, across: int, down: int) -> Tensor:
        return pairs.new_zeros(count, down, across)

    @staticmethod
    def rasterize_to_pixels(
        centers: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor, width: int, height: int, *_: Any
    ) -> tuple[Tensor, Tensor]:
        sums = (centers.sum(-1) + conics.sum(-1) + colors.sum(-1) + opacities).sum(-1)[..., None, None, None]
        return sums.expand(*sums.shape[:-3], height, width, 4), sums.expand(
            *sums.shape[:-3], height, width, 1
        )


@pytest.fixture(scope="module")
def everything(body: BodyModel) -> Evidence:
    return evidence_with_everything(body)


@pytest.fixture
def shapes_only(everything: Evidence, body: BodyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a phase run on torch's device "meta", which has shapes but no values, by CUDA's branches."""
    settings = settings_for(1)
    nearest = neighbours(spread(body, settings.gaussians, settings.seed), coupling.NEIGHBOURS)
    height = tuple(tensor.to("meta") for tensor in alignment._height(body))
    monkeypatch.setattr(coupling, "neighbours", lambda *_: nearest)
    monkeypatch.setattr(coupling, "_laplacian_energy", lambda found: torch.eye(len(found)))  # sparse: no meta
    monkeypatch.setattr(alignment, "_height", lambda _: height)  # looked up once, before the first step
    monkeypatch.setattr(torch.optim, "Adam", lambda groups, fused: torch.optim.SGD(groups, foreach=True))
    monkeypatch.setattr(rendering, "_chosen", lambda *_: "gsplat")
    for name in ("fully_fused_projection", "isect_tiles", "isect_offset_encode", "rasterize_to_pixels"):
        monkeypatch.setattr(gsplat, name, getattr(ShapesOnly, name))


@pytest.mark.parametrize("per_step", [1, 3])
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_step_waits_for_nothing(
    everything: Evidence, body: BodyModel, shapes_only: None, kind: str, per_step: int
) -> None:
    """All terms are on: depth, landmarks, height. On "meta" reading a value would fail by itself."""
    scene = scene_of(everything, body, settings_for(per_step), "meta")
    phase = Phase(scene, plan_of(kind, crops_of(everything, "meta"), FRAMES))
    phase.step()  # constants are brought over once
    with Watch() as watch:
        phase.step()
    assert watch.waits == []
    assert sum(watch.launches.values()) < 1300  # a GPU takes some microseconds for each


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x + torch.tensor([1.0, 2.0, 3.0]),
        lambda x: x[:, [0, 1]],
        lambda x: x[x > 0],
        lambda x: float(x.sum()),
        lambda x: x.nanmedian(),
        lambda x: x.new_tensor([1.0]),
    ],
)
def test_the_watch_sees_what_waits(wait: Callable[[Tensor], Any]) -> None:
    x = torch.ones(4, 3, device="meta")
    with Watch() as watch:
        try:
            wait(x)
        except (RuntimeError, NotImplementedError):
            watch.waits.append("refused")
    assert watch.waits


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("per_step", [1, 3])
@pytest.mark.parametrize("kind", list(KINDS))
def test_cuda_waits_only_in_gsplat(
    everything: Evidence, body: BodyModel, kind: str, per_step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = scene_of(everything, body, settings_for(per_step), "cuda")
    phase = Phase(scene, plan_of(kind, crops_of(everything, "cuda"), FRAMES))
    for _ in range(2):
        phase.step()
    isect_tiles = gsplat.isect_tiles

    def allowed(*args: Any, **named: Any) -> Any:
        torch.cuda.set_sync_debug_mode("default")
        try:
            return isect_tiles(*args, **named)
        finally:
            torch.cuda.set_sync_debug_mode("error")

    monkeypatch.setattr(gsplat, "isect_tiles", allowed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the mode is a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(5):
            phase.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("per_step", [1, 3])
@pytest.mark.parametrize("kind", list(KINDS))
def test_cuda_takes_the_cpu_s_steps(everything: Evidence, body: BodyModel, kind: str, per_step: int) -> None:
    """Losses of five steps from the same start: within 1 % each, 3 % once they have moved apart."""
    found = []
    for device in ("cpu", "cuda"):
        scene = scene_of(everything, body, settings_for(per_step), device)
        phase = Phase(scene, plan_of(kind, crops_of(everything, device), FRAMES))
        steps = []
        for _ in range(5):
            phase.step()
            steps.append(phase.losses.read())
        found.append(steps)
    for number, (cpu, cuda) in enumerate(zip(*found, strict=True)):
        assert cpu.keys() == cuda.keys()
        for name, value in cpu.items():
            tolerance = 0.01 if number == 0 else 0.03
            assert cuda[name] == pytest.approx(value, rel=tolerance, abs=1e-4), (number, name)


@pytest.mark.gpu
@needs_cuda
def test_cuda_ends_where_the_cpu_ends(body: BodyModel) -> None:
    """A short optimisation as a whole: joints within 3 cm on average, the colours' loss within 20 %."""
    settings = SHORT.model_copy(update={"joint_steps": 100})
    cpu, cuda = (optimise(filmed(body), body, settings, device) for device in ("cpu", "cuda"))
    assert cuda.joints.isfinite().all() and cuda.avatar.colors.isfinite().all()
    assert (cpu.joints - cuda.joints).norm(dim=-1).mean() < 0.03
    last = [[row["l1"] for row in result.history["losses"] if "l1" in row][-1] for result in (cpu, cuda)]
    assert last[1] == pytest.approx(last[0], rel=0.2)
