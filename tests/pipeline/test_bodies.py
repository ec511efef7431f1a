"""Bodies by name: SMPL's files that were added to the cache."""

from pathlib import Path

import pytest

from models import weights
from models.errors import InputError
from pipeline import config
from pipeline.bodies import body_file
from tests.made_up_weights import install


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path / "weights"))


def test_a_name_is_the_added_file(tmp_path: Path) -> None:
    install("smpl_female")
    assert body_file(Path("female")) == weights.find("smpl_female")
    configuration = config.load(tmp_path / "clip.mp4", options={"body": Path("female")})
    for section in ("poses", "optimize", "export"):
        assert getattr(configuration, section).body == weights.find("smpl_female")
    mixed = config.load(tmp_path / "clip.mp4", assignments=["poses.body=female"])
    assert mixed.poses.body == weights.find("smpl_female") and mixed.export.body is None


def test_a_name_that_was_not_added_is_refused_with_the_way_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="SMPL, male") as caught:
        config.load(tmp_path / "clip.mp4", options={"body": Path("male")})
    assert "smpl.is.tue.mpg.de" in caught.value.next_step and "weights add" in caught.value.next_step


def test_a_path_stays_one() -> None:
    for path in (Path("SMPL_MALE.pkl"), Path("./folder/male"), Path("/bodies/neutral.npz")):
        assert body_file(path) == path


def test_the_keys_of_weights_are_names_too_and_files_go_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    install("smpl_neutral")
    assert body_file(Path("smpl_neutral")) == weights.find("smpl_neutral")
    (tmp_path / "smpl_neutral").write_text("")
    assert body_file(Path("smpl_neutral")) == Path("smpl_neutral")
