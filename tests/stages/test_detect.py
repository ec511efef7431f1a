"""Stage detect on pictures of the example clip."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from models.errors import InputError
from models.people import Landmarks
from models.people.subject import PASSES
from stages.detect import HEAVY, STAGE, DetectSettings
from stages.images import read_coverage
from tests.made_up_weights import install, install_full_as_heavy
from tests.stages.conftest import CallStage, FramesFolder

CLIP = Path(__file__).parents[2] / "examples" / "clip.mp4"
COUNT = 8


@pytest.fixture(scope="module")
def man() -> list[np.ndarray]:
    with av.open(str(CLIP)) as video:
        return [
            f.to_ndarray(format="rgb24") for _, f in zip(range(COUNT), video.decode(video=0), strict=False)
        ]


def half_size(picture: np.ndarray) -> np.ndarray:
    """The picture at half its size, at the bottom left of a grey one of the same size."""
    small = np.full_like(picture, 128)
    small[picture.shape[0] // 2 :, : picture.shape[1] // 2] = picture[::2, ::2]
    return small


def test_the_files_of_one_person(
    man: list[np.ndarray], frames_folder: FramesFolder, call_stage: CallStage
) -> None:
    gone = [np.full_like(man[0], 128)] * 3
    summary, folder = call_stage(STAGE, DetectSettings(), frames=frames_folder(man + gone))
    assert summary["chosen"] == 1
    assert (summary["frames"], summary["valid"]) == (COUNT + 3, COUNT)
    tracks = json.loads((folder / "tracks.json").read_text())
    (person,) = tracks["people"]
    assert (person["person"], person["frames"], person["last_frame"]) == (1, COUNT, 2 * (COUNT - 1))

    height, width = man[0].shape[:2]
    valid = np.arange(COUNT + 3) < COUNT
    with np.load(folder / "subject.npz", allow_pickle=False) as subject:
        np.testing.assert_array_equal(subject["valid"], valid)
        np.testing.assert_array_equal(subject["scores"] > 0, valid)
        x0, y0, x1, y1 = subject["boxes"].T
    assert (x0 >= 0).all() and (y0 >= 0).all() and (x1 <= width).all() and (y1 <= height).all()
    assert (x1 - x0 > 100).all() and (y1 - y0 > 300).all()
    landmarks = Landmarks.load(folder / "landmarks.npz")
    np.testing.assert_array_equal(landmarks.valid, [valid] * PASSES)
    for index in range(COUNT + 3):
        silhouette = read_coverage(folder / "silhouettes" / f"{index:06d}.png")
        assert silhouette.shape == (height, width)
        assert (silhouette > 127).any() == valid[index]


def test_the_larger_person_is_taken_unless_another_is_asked_for(
    man: list[np.ndarray], frames_folder: FramesFolder, call_stage: CallStage, tmp_path: Path
) -> None:
    both = [np.concatenate([half_size(picture), picture], axis=1) for picture in man]
    frames = frames_folder(both)
    width = man[0].shape[1]

    def hips(folder: Path) -> float:
        return float(Landmarks.load(folder / "landmarks.npz").image[:, :, 23:25, 0].mean())

    summary, folder = call_stage(STAGE, DetectSettings(), frames=frames)
    assert len(summary["people"]) == 2
    assert [w for w in summary["warnings"] if w.startswith("following person 1; --person takes another: 2: ")]
    assert hips(folder) > width
    folder.rename(tmp_path / "first")
    (tmp_path / "detect.scratch").rmdir()
    summary, folder = call_stage(STAGE, DetectSettings(person=2), frames=frames)
    assert summary["chosen"] == 2
    assert hips(folder) < width / 2
    folder.rename(tmp_path / "second")
    (tmp_path / "detect.scratch").rmdir()
    with pytest.raises(
        InputError, match=r"no person 3 .* 1: 8 frames \(0 to 14\), right.* 2: 8 frames"
    ) as error:
        call_stage(STAGE, DetectSettings(person=3), frames=frames)
    assert "--person" in error.value.next_step


def test_a_subject_seldom_seen_is_told(
    man: list[np.ndarray], frames_folder: FramesFolder, call_stage: CallStage
) -> None:
    empty = [np.full_like(picture, 90) for picture in man]
    frames = frames_folder([*empty, *man, *empty])
    summary, _ = call_stage(STAGE, DetectSettings(), frames=frames)
    assert summary["valid"] <= len(man) + 2
    assert f"only {summary['valid']} of {3 * len(man)} frames" in "".join(summary["warnings"])


def test_an_empty_room_is_refused(
    man: list[np.ndarray], frames_folder: FramesFolder, call_stage: CallStage
) -> None:
    empty = [np.full_like(picture, 90) for picture in man]
    with pytest.raises(
        InputError, match=r"Nobody was found in 8 pictures of the video \(from its frames 0 to 14\)"
    ):
        call_stage(STAGE, DetectSettings(), frames=frames_folder(empty))


@pytest.mark.parametrize("wrong", [{"person": 0}, {"engine": "hog"}, {"persons": 1}, {"landmarks": "lite"}])
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DetectSettings(**wrong)


def results(boxes: np.ndarray) -> Callable[[Sequence[np.ndarray]], list[Any]]:
    """What YOLO says of consecutive pictures, in ultralytics' own class."""
    ultralytics = pytest.importorskip("ultralytics.engine.results", reason="ultralytics is not installed")
    frames = iter(boxes)

    def find(pictures: Sequence[np.ndarray]) -> list[Any]:
        rows = [torch.tensor([[*next(frames), 0.9, 0.0]]) for _ in pictures]
        rows = [row if row.isfinite().all() else row[:0] for row in rows]
        return [
            ultralytics.Results(picture, path="", names={0: "person"}, boxes=row)
            for picture, row in zip(pictures, rows, strict=True)
        ]

    return find


@pytest.fixture
def fake_yolo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[np.ndarray], None]:
    """fake_yolo(boxes) puts a network in place that sees these (T, 4) boxes, none where NaN."""
    yolo = pytest.importorskip("models.people.yolo", reason="ultralytics is not installed")
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path / "weights"))
    install("yolo11n")
    monkeypatch.setattr(yolo, "read_checkpoint", lambda path: None)

    def put(boxes: np.ndarray) -> None:
        monkeypatch.setattr(yolo, "Yolo", lambda *arguments: SimpleNamespace(find=results(boxes)))

    return put


def test_yolo_and_blazepose_see_the_same_person(
    man: list[np.ndarray],
    frames_folder: FramesFolder,
    call_stage: CallStage,
    fake_yolo: Callable[[np.ndarray], None],
    tmp_path: Path,
) -> None:
    frames = frames_folder(man)
    seen, twin = call_stage(STAGE, DetectSettings(engine="blazepose"), frames=frames)
    twin = twin.rename(tmp_path / "twin")
    (tmp_path / "detect.scratch").rmdir()
    with np.load(twin / "subject.npz") as subject:
        boxes = subject["boxes"]
    hidden = boxes.copy()
    hidden[3] = np.nan
    fake_yolo(hidden)
    settings = DetectSettings()
    assert STAGE.engine(settings) == "yolo"
    summary, folder = call_stage(STAGE, settings, frames=frames)
    assert {f.name for f in folder.iterdir()} == {f.name for f in twin.iterdir()}
    assert summary.keys() == seen.keys()
    with np.load(folder / "subject.npz") as subject:
        np.testing.assert_allclose(subject["boxes"][5:], boxes[5:], atol=5)
        assert subject["valid"].all()  # where YOLO missed them, the landmarks were seen
    ours, theirs = Landmarks.load(folder / "landmarks.npz"), Landmarks.load(twin / "landmarks.npz")
    assert ours.valid.all()
    apart = np.linalg.norm(ours.image[..., :2].mean(0) - theirs.image[..., :2].mean(0), axis=-1)
    assert np.median(apart) < 0.01 * man[0].shape[0]


def test_somebody_whom_only_yolo_sees_is_kept(
    man: list[np.ndarray],
    frames_folder: FramesFolder,
    call_stage: CallStage,
    fake_yolo: Callable[[np.ndarray], None],
) -> None:
    fake_yolo(np.tile([20.0, 30.0, 90.0, 200.0], (COUNT, 1)))
    grey = [np.full_like(picture, 128) for picture in man]
    summary, folder = call_stage(STAGE, DetectSettings(), frames=frames_folder(grey))
    assert summary["valid"] == COUNT
    assert not Landmarks.load(folder / "landmarks.npz").valid.any()


def test_yolo_that_sees_nobody(
    man: list[np.ndarray],
    frames_folder: FramesFolder,
    call_stage: CallStage,
    fake_yolo: Callable[[np.ndarray], None],
) -> None:
    fake_yolo(np.full((COUNT, 4), np.nan))
    with pytest.raises(InputError, match="Nobody was found"):
        call_stage(STAGE, DetectSettings(), frames=frames_folder(man))


def test_a_network_of_ones_own_goes_before_the_downloaded(tmp_path: Path) -> None:
    own = DetectSettings(weights=tmp_path / "mine.pt")
    assert STAGE.real is not None
    real = STAGE.real(own)
    assert real is not None and real.weights is None
    assert STAGE.engine(own) == "yolo"
    with pytest.raises(InputError, match="weights fetch yolo11m"):
        STAGE.engine(DetectSettings(engine="yolo", model="yolo11m"))


def test_the_heavy_network_looks_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path))
    heavy = DetectSettings(landmarks="heavy")
    assert STAGE.engine(DetectSettings()) == "blazepose"
    assert STAGE.running(DetectSettings()) == []
    with pytest.raises(InputError, match="BlazePose heavy are not here") as refused:
        STAGE.engine(heavy)
    assert "weights fetch blazepose_heavy; or leave landmarks at auto" in refused.value.next_step
    install("blazepose_heavy")
    assert STAGE.engine(DetectSettings()) == STAGE.engine(heavy) == "blazepose+heavy"
    assert STAGE.running(heavy) == [HEAVY]
    assert STAGE.engine(DetectSettings(landmarks="full")) == "blazepose"
    own = DetectSettings(weights=tmp_path / "mine.pt", landmarks="heavy")
    monkeypatch.setattr("stages.engines.util.find_spec", lambda package: package)  # ultralytics is installed
    assert STAGE.engine(own) == "yolo+heavy"
    assert [network.weights for network in STAGE.running(own)] == [None, "blazepose_heavy"]


def test_what_another_network_sees_is_written(
    man: list[np.ndarray],
    frames_folder: FramesFolder,
    call_stage: CallStage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames = frames_folder(man)
    full, twin = call_stage(STAGE, DetectSettings(), frames=frames)
    twin = twin.rename(tmp_path / "twin")
    (tmp_path / "detect.scratch").rmdir()
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path / "weights"))
    install_full_as_heavy(monkeypatch)
    heavy, folder = call_stage(STAGE, DetectSettings(), frames=frames)
    assert (full["landmarks"], heavy["landmarks"]) == ("full", "heavy")
    ours, theirs = Landmarks.load(folder / "landmarks.npz"), Landmarks.load(twin / "landmarks.npz")
    np.testing.assert_array_equal(ours.image, theirs.image)
    np.testing.assert_array_equal(ours.world, theirs.world)


def test_a_damaged_network_ends_in_one_message(
    man: list[np.ndarray],
    frames_folder: FramesFolder,
    call_stage: CallStage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path / "weights"))
    install("blazepose_heavy", b"TFL3" * 100)
    with pytest.raises(InputError, match=r"pose_landmark_heavy\.tflite is not the published"):
        call_stage(STAGE, DetectSettings(), frames=frames_folder(man))
