from pathlib import Path

import numpy as np
import pytest
import torch

from models.metrics import agreement, perceptual
from models.metrics.perceptual import Unavailable, load_lpips


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch's; gives where the backbone would lie."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    path = perceptual.backbone_path()
    path.parent.mkdir(parents=True)
    return path


def test_without_its_backbone_it_says_so(cache: Path) -> None:
    assert cache.name == "alexnet-owt-7be5be79.pth"
    with pytest.raises(Unavailable, match=str(cache)):
        load_lpips()


def test_another_file_of_that_name_is_not_taken(cache: Path) -> None:
    cache.write_bytes(b"something else")
    with pytest.raises(Unavailable, match="is not torchvision's"):
        load_lpips()


def test_with_a_backbone_it_tells_pictures_apart(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights drawn at random take the place of the trained ones; nothing can be downloaded."""
    pytest.importorskip("torchmetrics", reason="the extra [lpips] is not installed")
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    torch.save(models.alexnet(weights=None).state_dict(), cache)
    monkeypatch.setattr(perceptual, "_digest", lambda path: "7be5be79 and so on")
    monkeypatch.delattr(torch.hub, "download_url_to_file")
    distance = load_lpips()
    picture = np.random.default_rng(0).random((80, 70, 3))
    assert distance(picture, picture) == pytest.approx(0, abs=1e-6)
    assert distance(picture, 1 - picture) > 1e-3
    assert distance(picture[:40], picture[:40]) is None


def test_agreement_carries_the_distance_of_whole_image_and_crop() -> None:
    image, mask = np.full((40, 40, 3), 0.5), np.zeros((40, 40))
    mask[10:30, 12:32] = 1

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return float(a.shape[0] + abs(a - b).max())

    color = mask[..., None] * np.full(3, 0.5)
    score = agreement(image, mask, color, mask, distance)
    assert (score.lpips, score.lpips_crop) == (40, 30)
    assert agreement(image, mask, color, mask).lpips is None
