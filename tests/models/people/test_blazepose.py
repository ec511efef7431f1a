"""BlazePose itself, on the example clip."""

from pathlib import Path

import av
import numpy as np
import pytest

from models import weights
from models.errors import InputError
from models.people import Circle, Detection, Track
from models.people.blazepose import MIRRORED, TORSO, BlazePose, find_people
from models.people.subject import PASSES, SubjectRecorder, look_at
from tests.made_up_weights import install_full_as_heavy

CLIP = Path(__file__).parents[3] / "examples" / "clip.mp4"
FPS = 15.0
HEAVY = weights.find("blazepose_heavy")  # of this machine; in the tests it has no weights


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    with av.open(str(CLIP)) as video:
        return [f.to_ndarray(format="rgb24") for _, f in zip(range(8), video.decode(video=0), strict=False)]


@pytest.fixture(scope="module")
def engine() -> BlazePose:
    return BlazePose()


def test_one_person_is_found_once(engine: BlazePose, pictures: list[np.ndarray]) -> None:
    (found,) = engine.detect(pictures[0])
    assert found.score > 0.8
    assert 150 < found.circle.radius < 300
    assert found.circle.up[1] < -0.9 * found.circle.radius


def test_two_people_are_found_in_a_wide_picture(engine: BlazePose, pictures: list[np.ndarray]) -> None:
    both = np.concatenate([pictures[0], pictures[-1]], axis=1)
    found = engine.detect(both)
    assert len(found) == 2
    assert sorted(d.circle.hips[0] > 480 for d in found) == [False, True]


def test_nobody_is_found_where_nobody_is(engine: BlazePose) -> None:
    assert engine.detect(np.full((480, 640, 3), 128, np.uint8)) == []


def test_observation_agrees_with_its_mirror_image(engine: BlazePose, pictures: list[np.ndarray]) -> None:
    circle = engine.detect(pictures[0])[0].circle
    plain, mirrored = (engine.observe(pictures[0], circle, mirrored=m) for m in (False, True))
    assert plain and mirrored
    body = list(range(11, 33))
    assert np.abs(plain.image[body, :2] - mirrored.image[body, :2]).mean() < 6
    assert np.abs(plain.world[body] - mirrored.world[body]).mean() < 0.08
    # The man faces the camera at first: his left shoulder is on the picture's right.
    assert plain.image[11, 0] > plain.image[12, 0]
    assert plain.world[11, 0] > plain.world[12, 0]
    assert plain.world[11, 1] < plain.world[27, 1]


def test_observing_the_mirrored_picture_mirrors_the_answer(
    engine: BlazePose, pictures: list[np.ndarray]
) -> None:
    picture = pictures[0]
    circle = engine.detect(picture)[0].circle
    flipped = np.ascontiguousarray(picture[:, ::-1])
    other = type(circle)(circle.hips * [-1, 1] + [picture.shape[1], 0], circle.up * [-1, 1])
    plain, mirrored = engine.observe(picture, circle), engine.observe(flipped, other, mirrored=True)
    assert plain and mirrored
    back = mirrored.image[MIRRORED]
    np.testing.assert_allclose(picture.shape[1] - back[:, 0], plain.image[:, 0], atol=0.5)
    np.testing.assert_allclose(back[:, 1], plain.image[:, 1], atol=0.5)
    np.testing.assert_allclose(mirrored.world[MIRRORED] * [-1, 1, 1], plain.world, atol=0.01)
    np.testing.assert_allclose(mirrored.probability[:, ::-1], plain.probability, atol=0.05)


def test_a_turned_picture_turns_the_answer(engine: BlazePose, pictures: list[np.ndarray]) -> None:
    picture = pictures[0]
    circle = engine.detect(picture)[0].circle
    turned = np.ascontiguousarray(np.rot90(picture))
    other = type(circle)(
        np.array([circle.hips[1], picture.shape[1] - circle.hips[0]]),
        np.array([circle.up[1], -circle.up[0]]),
    )
    plain, lying = engine.observe(picture, circle), engine.observe(turned, other)
    assert plain and lying
    np.testing.assert_allclose(lying.image[:, 0], plain.image[:, 1], atol=0.5)
    np.testing.assert_allclose(lying.image[:, 1], picture.shape[1] - plain.image[:, 0], atol=0.5)
    np.testing.assert_allclose(lying.world[:, 0], plain.world[:, 1], atol=0.03)
    np.testing.assert_allclose(lying.world[:, 1], -plain.world[:, 0], atol=0.03)


def same(engine: BlazePose, other: BlazePose, picture: np.ndarray) -> bool:
    """Whether the two see a person in the same way, bit for bit."""
    circle = engine.detect(picture)[0].circle
    a, b = engine.observe(picture, circle), other.observe(picture, circle)
    assert a and b
    return all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("image", "world", "probability")
    )


def test_a_network_from_elsewhere_is_the_one_that_looks(
    engine: BlazePose, pictures: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path / "my weights, größere"))
    network = install_full_as_heavy(monkeypatch)
    with BlazePose(network) as other:
        network.rename(tmp_path / "elsewhere")  # it was loaded, and is not in the wheel
        assert same(engine, other, pictures[0])


@pytest.mark.skipif(HEAVY is None, reason="BlazePose's heavy network is not on this machine")
def test_both_networks_in_one_process(engine: BlazePose, pictures: list[np.ndarray]) -> None:
    circle = engine.detect(pictures[0])[0].circle
    with BlazePose(HEAVY) as heavy, BlazePose() as full:
        assert same(engine, full, pictures[0])
        assert not same(engine, heavy, pictures[0])
        large, small = heavy.observe(pictures[0], circle), full.observe(pictures[0], circle)
    assert large and small
    body = list(range(11, 33))
    assert np.abs(large.image[body, :2] - small.image[body, :2]).mean() < 6
    assert ((large.probability > 0.5) == (small.probability > 0.5)).mean() > 0.98


@pytest.mark.parametrize("keep", [0, 100, 6_000_000])
def test_a_network_that_is_cut_off_is_refused(
    keep: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path))
    network = install_full_as_heavy(monkeypatch)
    network.write_bytes(network.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"heavy\.tflite is not the published BlazePose heavy") as refused:
        BlazePose(network)
    assert "weights fetch blazepose_heavy --force" in refused.value.next_step


def test_a_network_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none cannot be read: No such file"):
        BlazePose(tmp_path / "none")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        BlazePose(tmp_path)


def test_subject_is_followed_and_looked_at(pictures: list[np.ndarray], capfd: pytest.CaptureFixture) -> None:
    height, width = pictures[0].shape[:2]
    (track,) = find_people(pictures, FPS)
    assert track.frames == list(range(len(pictures)))
    recorder = SubjectRecorder(width, height)
    for look in look_at(pictures, len(pictures), FPS, track, []):
        probability = look.probability(height, width)
        assert probability.shape == (height, width)
        assert 0.02 < (probability > 0.5).mean() < 0.4
        recorder.add(look)
    subject = recorder.finish()
    assert subject and subject.valid.all() and subject.landmarks.valid.all()
    assert subject.landmarks.image.shape == (PASSES, len(pictures), 33, 3)
    hips = subject.landmarks.image[:, :, TORSO[2:], :2].mean(2)
    assert (hips > subject.boxes[:, :2]).all() and (hips < subject.boxes[:, 2:]).all()
    assert capfd.readouterr().err == ""


def test_landmarks_of_somebody_else_are_not_taken(pictures: list[np.ndarray]) -> None:
    (man,) = find_people(pictures, FPS)
    # A little aside he is still the one meant, unless somebody else is known to be there.
    near = Track(man.frames, [_shifted(d, 0.3) for d in man.detections])
    assert all(look.seen for look in look_at(pictures, len(pictures), FPS, near, []))
    assert not any(look.seen for look in look_at(pictures, len(pictures), FPS, near, [man]))


def _shifted(detection: Detection, radii: float) -> Detection:
    circle = detection.circle
    return Detection(Circle(circle.hips + np.array([radii * circle.radius, 0]), circle.up), detection.score)


def test_nothing_seen_is_no_subject() -> None:
    assert SubjectRecorder(64, 48).finish() is None
