from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from models.avatar import optimise, optimiser, stopping
from models.avatar.stopping import Lookout
from models.body import BodyModel
from tests.models.avatar.scenes import filmed
from tests.models.avatar.test_optimiser import SHORT, Interrupted, Memory


def _lookout(losses: list[float], monkeypatch: pytest.MonkeyPatch) -> tuple[Lookout, nn.Module]:
    """One whose checks find these losses, and the avatar it watches."""
    found = iter(losses)
    monkeypatch.setattr(stopping, "held_out_loss", lambda scene, crops: next(found))
    avatar = nn.Linear(1, 1)
    scene: Any = SimpleNamespace(gaussians=avatar)
    return Lookout(scene, None, patience=2), avatar  # type: ignore[arg-type]


def _check(lookout: Lookout, avatar: nn.Module, value: float) -> None:
    with torch.no_grad():
        avatar.weight.fill_(value)  # type: ignore[operator]
    lookout.check()


def test_the_best_avatar_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    lookout, avatar = _lookout([3.0, 1.0, 2.0, 1.5], monkeypatch)
    stops = []
    for value in (10.0, 20.0, 30.0, 40.0):
        _check(lookout, avatar, value)
        stops.append(lookout.exhausted)
    lookout.keep_best()
    assert avatar.weight.item() == 20  # type: ignore[operator]
    assert stops == [False, False, False, True]


def test_a_gain_of_next_to_nothing_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    lookout, avatar = _lookout([1.0, 0.9999, 0.9998], monkeypatch)
    for value in (1.0, 2.0, 3.0):
        _check(lookout, avatar, value)
    assert lookout.exhausted


def test_its_state_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    first, avatar = _lookout([1.0, 2.0, 2.0], monkeypatch)
    _check(first, avatar, 5.0)
    _check(first, avatar, 6.0)
    second = Lookout(first.scene, first.crops, first.patience)
    second.load_state_dict(first.state_dict())
    _check(second, avatar, 7.0)
    assert second.exhausted
    second.keep_best()
    assert avatar.weight.item() == 5  # type: ignore[operator]


def test_the_phase_ends_early_and_resumes_the_same(
    body: BodyModel, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimiser, "CHECK_EVERY", 5)
    monkeypatch.setattr(optimiser, "SAVE_EVERY", 10)
    monkeypatch.setattr(stopping, "IMPROVEMENT", 0.03)
    evidence = filmed(body, frames=12)
    settings = SHORT.model_copy(
        update={"joint_steps": 20, "appearance_steps": 200, "held_out": 0.2, "patience": 3}
    )
    whole = optimise(evidence, body, settings)
    steps = [record["step"] for record in whole.history["losses"] if record["phase"] == "appearance"]
    assert steps[-1] < 150
    file = tmp_path / "state.pt"
    with pytest.raises(
        Interrupted
    ):  # saves: alignment, silhouettes, 1 within joint, joint, 1 within appearance
        optimise(evidence, body, settings, checkpoint=Memory(file, die_after=5))
    assert torch.load(file, weights_only=True)["phase_state"]["lookout"]["kept"]
    resumed = optimise(evidence, body, settings, checkpoint=Memory(file))
    assert torch.equal(resumed.avatar.colors, whole.avatar.colors)
    assert resumed.history == whole.history
