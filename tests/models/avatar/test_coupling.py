import pytest
import torch

from models.avatar.coupling import Coupling
from models.avatar.gaussians import Gaussians, refined, upright
from models.avatar.settings import OptimiserSettings, Weights
from models.avatar.surface import spread
from models.body import BodyModel
from models.body.rotations import quaternion_to_matrix

OFF = dict.fromkeys(
    ("margin", "laplacian", "color_laplacian", "offset", "scale_bounds", "coverage", "flatness", "surface"),
    0.0,
)


@pytest.fixture
def gaussians(body: BodyModel) -> Gaussians:
    return Gaussians(spread(body, 600, seed=0))


def _cost(gaussians: Gaussians, term: str) -> float:
    settings = OptimiserSettings(weights=Weights(**{**OFF, term: 1.0}))
    return float(Coupling(gaussians, settings)().detach())


def test_all_terms_off_cost_nothing(gaussians: Gaussians) -> None:
    assert float(Coupling(gaussians, OptimiserSettings(weights=Weights(**OFF)))().detach()) == 0


def test_margin_is_free_inside_and_costs_outside(gaussians: Gaussians) -> None:
    with torch.no_grad():
        gaussians.offsets[:, 0] = 0.039
        assert _cost(gaussians, "margin") == 0
        gaussians.offsets[:, 0] = 0.06
        assert _cost(gaussians, "margin") == pytest.approx(0.02**2, rel=1e-3)


def test_laplacian_is_zero_for_a_common_offset_and_has_the_right_derivative(gaussians: Gaussians) -> None:
    with torch.no_grad():
        gaussians.offsets[:] = torch.tensor([0.01, 0.02, 0.0])
    assert _cost(gaussians, "laplacian") < 1e-9
    with torch.no_grad():
        gaussians.offsets.normal_(0, 0.01, generator=torch.Generator().manual_seed(0))
    coupling = Coupling(gaussians, OptimiserSettings(weights=Weights(**{**OFF, "laplacian": 1.0})))
    coupling().backward()
    neighbours = gaussians.offsets.detach()[coupling.nearest].mean(1)
    expected = (gaussians.offsets.detach() - neighbours).square().sum(1).mean()
    assert _cost(gaussians, "laplacian") == pytest.approx(float(expected), rel=1e-4)
    step = 1e-3 * gaussians.offsets.grad / gaussians.offsets.grad.norm()
    before = _cost(gaussians, "laplacian")
    with torch.no_grad():
        gaussians.offsets += step
    slope = (_cost(gaussians, "laplacian") - before) / 1e-3
    assert slope == pytest.approx(float(gaussians.offsets.grad.norm()), rel=0.05)


def test_colour_laplacian_sees_speckles_and_not_a_plain_colour(gaussians: Gaussians) -> None:
    assert _cost(gaussians, "color_laplacian") < 1e-9
    with torch.no_grad():
        gaussians.colors[::7] = 1.0
    assert _cost(gaussians, "color_laplacian") > 0.01


def test_sizes_are_free_inside_their_range(gaussians: Gaussians) -> None:
    assert _cost(gaussians, "scale_bounds") == 0
    with torch.no_grad():
        gaussians.log_scales += 2
    assert _cost(gaussians, "scale_bounds") > 1


def test_coverage_sees_gaussians_leave(gaussians: Gaussians) -> None:
    assert _cost(gaussians, "coverage") == 0
    with torch.no_grad():
        gaussians.offsets[:, 1] = 0.5
    assert _cost(gaussians, "coverage") > 0.1


def test_first_gaussians_lie_flat_on_the_surface(gaussians: Gaussians) -> None:
    assert _cost(gaussians, "surface") < 1e-5
    assert _cost(gaussians, "flatness") < 1e-5
    with torch.no_grad():
        gaussians.log_scales[:, 2] += 1
        gaussians.quaternions[:] = torch.tensor([1.0, 0, 0, 0])
    assert _cost(gaussians, "flatness") == pytest.approx(1, rel=1e-4)
    assert _cost(gaussians, "surface") > 0.1


def test_upright_turns_z_to_the_normal_even_straight_down() -> None:
    normals = torch.nn.functional.normalize(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)))
    normals[0], normals[1] = torch.tensor([0.0, 0, -1]), torch.tensor([0.0, 0, 1])
    torch.testing.assert_close(quaternion_to_matrix(upright(normals))[..., 2], normals, atol=1e-5, rtol=0)


def test_refined_gaussians_look_like_the_coarse_ones(body: BodyModel, gaussians: Gaussians) -> None:
    with torch.no_grad():
        gaussians.colors[:] = (gaussians.surface.template[:, 1:2] > 0.3).float()
        gaussians.offsets[:, 2] = 0.01
    fine = refined(gaussians, spread(body, 2400, seed=0))
    assert len(fine) == 2400
    torch.testing.assert_close(fine.offsets[:, 2], torch.full((2400,), 0.01), atol=1e-6, rtol=0)
    wanted = (fine.surface.template[:, 1] > 0.3).float()
    assert (fine.colors[:, 0] - wanted).abs().mean() < 0.05
    assert fine.log_scales.mean() < gaussians.log_scales.mean()


def test_compiled_cost_and_gradient_are_the_definition_s(gaussians: Gaussians) -> None:
    """In double precision `Coupling` takes the definition."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        gaussians.offsets.normal_(0, 0.03, generator=generator)
        gaussians.offsets[5] = 0
        gaussians.colors.uniform_(0, 1, generator=generator)
        gaussians.log_scales += torch.randn(gaussians.log_scales.shape, generator=generator)
    coupling = Coupling(gaussians, OptimiserSettings())
    found = coupling()
    found.backward()
    gradients = [p.grad for p in (gaussians.offsets, gaussians.colors, gaussians.log_scales)]
    gaussians.zero_grad()
    gaussians.double()
    coupling.smallest, coupling.largest = coupling.smallest.double(), coupling.largest.double()
    coupling.laplacian = coupling.laplacian.double()
    expected = coupling()
    expected.backward()
    assert found.dtype == torch.float32 and expected.dtype == torch.float64
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)
    for got, p in zip(gradients, (gaussians.offsets, gaussians.colors, gaussians.log_scales), strict=True):
        assert got is not None and p.grad is not None
        assert (got - p.grad).norm() < 2e-6 * p.grad.norm()
