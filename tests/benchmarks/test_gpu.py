"""What of the GPU benchmark runs without a GPU."""

import numpy as np
import pytest

from benchmarks import gpu as benchmark
from models import gpu
from models.body import BodyModel, load_embedded_body


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_embedded_body()


def test_refuses_without_a_gpu_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "lack", lambda: gpu.Lack("there is no usable CUDA device", "install a driver"))
    assert benchmark.main(["--write"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == "This needs a GPU: there is no usable CUDA device; install a driver.\n"


def test_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        benchmark.main(["--fast"])
    assert exit.value.code == 2
    assert "--fast" in capsys.readouterr().err


def test_kernels_are_told_apart() -> None:
    assert benchmark.part_of("void gsplat::rasterize_to_pixels_3dgs_bwd_kernel<4u, float>") == "gsplat"
    assert benchmark.part_of("void cub::DeviceRadixSortOnesweepKernel<...>") == "gsplat"
    assert benchmark.part_of("void at::native::conv_depthwise2d_forward_kernel_generic<float>") == "SSIM"
    assert (
        benchmark.part_of("void at::native::vectorized_elementwise_kernel<4, AddFunctor>") == benchmark.OTHER
    )


def test_shares_are_of_the_wall_time() -> None:
    found = benchmark.shares([("gsplat::a", 0.2), ("gsplat::b", 0.1), ("sgemm", 0.1), ("add", 0.1)], 1.0)
    assert found["gsplat"] == pytest.approx(0.3)
    assert found[benchmark.GAPS] == pytest.approx(0.5)
    assert sum(found.values()) == pytest.approx(1)


def test_tables_and_verdicts() -> None:
    assert benchmark.table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    with pytest.raises(ValueError, match="length"):
        benchmark.table(("a", "b"), [("1",)])
    target = benchmark.TARGETS[0]
    assert benchmark.verdict(target, 29.9)[-1] == "met"
    assert benchmark.verdict(target, 30.1)[-1] == "missed"


def test_presets_are_the_configuration_s() -> None:
    default, quality = benchmark.settings_of("default"), benchmark.settings_of("quality")
    assert default == type(default)()
    assert quality.final_gaussians > default.final_gaussians


def test_the_clip_shows_the_person_and_a_phase_runs_on_it(body: BodyModel) -> None:
    evidence = benchmark.filmed(benchmark.person(body, 3000), 96, 8, 4.0)
    heights = [np.ptp(np.flatnonzero((mask > 128).any(1))) for mask in evidence.masks]
    assert all(0.6 * 96 < height < 90 for height in heights)
    assert len({mask.tobytes() for mask in evidence.masks}) == 8
    phase = benchmark.phase_on(evidence, body, 500, 64, 2, "cpu")
    gradients = benchmark.rasteriser_alone(phase)()
    assert all(gradient.isfinite().all() for gradient in gradients)  # type: ignore[attr-defined]
    phase.step()
    assert np.isfinite(phase.losses.read()["total"])
