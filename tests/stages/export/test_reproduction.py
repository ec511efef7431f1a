import shlex
from pathlib import Path

import pytest

import stages
from pipeline import config
from stages.export.reproduction import _OPTIONS, command


def settings(**changes: dict) -> dict:
    """The configuration as manifests hold it: every section at its defaults but for the changes."""
    sections = config.load(Path("clip.mp4")).model_dump(mode="json")
    del sections["frames"]["video"]
    return {name: {**section, **changes.get(name, {})} for name, section in sections.items()}


def test_defaults_need_no_options() -> None:
    assert command("clip.mp4", settings(), {}) == "hsplat-pipeline run clip.mp4"


def test_what_was_set_is_set_again() -> None:
    weights = {**settings()["optimize"]["weights"], "l1": 0.5}
    changed = settings(
        frames={"fps": 10.0, "end": 3.5},
        optimize={"weights": weights, "put_right": False},
        export={"ply_up": "-y"},
    )
    call = shlex.split(command("my clip.mp4", changed, {}))
    assert call[:3] == ["hsplat-pipeline", "run", "my clip.mp4"]
    assert call[3::2] == ["--set"] * 5
    assert set(call[4::2]) == {
        "frames.fps=10.0", "frames.end=3.5", "optimize.weights.l1=0.5", "optimize.put_right=false",
        "export.ply_up=-y",
    }  # fmt: skip
    loaded = config.load(Path("clip.mp4"), assignments=call[4::2]).model_dump(mode="json")
    del loaded["frames"]["video"]
    assert loaded == changed


@pytest.mark.parametrize("preset", config.presets())
def test_a_preset_comes_out_as_its_settings(preset: str) -> None:
    wanted = config.load(Path("clip.mp4"), preset).model_dump(mode="json")
    sections = {stage.name: wanted[stage.name] for stage in stages.STAGES}
    call = shlex.split(command("clip.mp4", sections, {}))
    assert config.load(Path("clip.mp4"), assignments=call[4::2]).model_dump(mode="json") == wanted


def test_files_have_their_options_and_only_names() -> None:
    files = {"poses.file": "mine.npz", "poses.body": "SMPL.pkl", "optimize.body": "SMPL.pkl"}
    call = shlex.split(command("clip.mp4", settings(), files))
    assert call[3:] == ["--poses", "mine.npz", "--body", "SMPL.pkl"]


def test_the_options_are_of_keys_that_there_are() -> None:
    known = settings()
    for key in _OPTIONS:
        section, name = key.split(".")
        assert name in known[section], key


def test_masks_have_their_option() -> None:
    call = shlex.split(command("clip.mp4", settings(), {"masks.file": "mine", "depth.file": "deep"}))
    assert call[3:] == ["--masks", "mine", "--depth", "deep"]
