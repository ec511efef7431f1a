"""Files of other programs: read as they are written, wrong values named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch

from models.errors import InputError
from models.hmr.foreign import Person, is_foreign, read_people
from models.hmr.foreign.people import SMPLX_PELVIS
from tests.models.hmr.foreign import made_up
from tests.models.hmr.foreign.made_up import SIZE, Walker, camera, seen_by, walker

COUNT = 20


def assert_is(person: Person, truth: Walker, K: np.ndarray) -> None:
    """The person as seen through that camera."""
    poses, pelvis = seen_by(truth, camera(300), K)
    np.testing.assert_array_equal(person.frames, truth.frames)
    np.testing.assert_allclose(person.K, K, rtol=1e-6)
    np.testing.assert_allclose(person.pelvis, pelvis, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.cos(person.poses), np.cos(poses), atol=2e-3)  # half a turn has two vectors
    assert (person.width, person.height) == pytest.approx(SIZE)


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)])
def test_phalp(tmp_path: Path, compress: Any) -> None:
    first, second = walker(COUNT), walker(COUNT, 0.8, seed=1).only(np.arange(4, 15))
    path = tmp_path / "demo_clip.pkl"
    joblib.dump(made_up.phalp_content({3: first, 7: second}, COUNT, 300), path, compress=compress)
    assert is_foreign(path)
    people = {person.name: person for person in read_people(path, SIZE)}
    assert people.keys() == {"3", "7"}
    lens = camera(5000 / 256 * 320)
    assert_is(people["3"], first, lens)
    assert_is(people["7"], second, lens)  # without the pictures in which it is only predicted
    assert people["3"].length == COUNT and not people["3"].camera_known
    np.testing.assert_allclose(people["3"].betas, first.betas, atol=1e-6)


def test_wham(tmp_path: Path) -> None:
    first, second = walker(COUNT), walker(COUNT, 0.8).only(np.array([3, 4, 5, 9, 10]))
    people = read_people(made_up.write_wham(tmp_path / "wham_output.pkl", {1: first, 4: second}), SIZE)
    assert [person.name for person in people] == ["1", "4"]
    for person, truth in zip(people, (first, second), strict=True):
        assert_is(person, truth, camera(400))
    assert people[0].camera_known and people[0].length is None


def test_gvhmr(tmp_path: Path) -> None:
    truth = walker(COUNT)
    (person,) = read_people(made_up.write_gvhmr(tmp_path / "hmr4d_results.pt", truth, camera(300)), SIZE)
    assert_is(person, truth, camera(300))
    assert person.betas is None and person.length == COUNT
    np.testing.assert_allclose(SMPLX_PELVIS[1], -0.35, atol=0.01)


def test_tram(tmp_path: Path) -> None:
    first, second = walker(COUNT), walker(COUNT, 0.8).only(np.arange(16))
    folder = made_up.write_tram(tmp_path / "hps", [first, second], camera(300))
    assert is_foreign(folder)
    people = read_people(folder, SIZE)
    assert [person.name for person in people] == ["0", "1"]
    for person, truth in zip(people, (first, second), strict=True):
        assert_is(person, truth, camera(300))


def test_a_track_of_tram_alone_lacks_the_camera(tmp_path: Path) -> None:
    folder = made_up.write_tram(tmp_path / "hps", [walker(COUNT)], camera(300))
    with pytest.raises(InputError, match="does not hold the camera") as caught:
        read_people(folder / "hps_track_0.npy", SIZE)
    assert "camera.npy" in caught.value.next_step
    (folder / "camera.npy").unlink()
    with pytest.raises(InputError, match=r"camera\.npy and hps_track"):
        read_people(folder, SIZE)


def first(content: dict[Any, Any]) -> dict[str, Any]:
    return next(iter(content.values()))


def phalp(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        content = made_up.phalp_content({1: walker(COUNT)}, COUNT, 300)
        change(first(content))
        joblib.dump(content, path)

    return write


def wham(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        content = made_up.wham_content({1: walker(COUNT)})
        change(content[1])
        joblib.dump(content, path)

    return write


def gvhmr(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        content = made_up.gvhmr_content(walker(COUNT), camera(300))
        change(content)
        torch.save(content, path)

    return write


def with_nan(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flat[-1] = np.nan
    return array


def flat_pose(picture: dict[str, Any]) -> None:
    picture["smpl"][0]["body_pose"] = np.zeros((23, 3))


def no_rotations(picture: dict[str, Any]) -> None:
    picture["smpl"][0]["body_pose"] = np.ones((23, 3, 3))


def short_pose(content: dict[str, Any]) -> None:
    content["smpl_params_incam"]["body_pose"] = torch.zeros(5, 63)


def endless(content: dict[str, Any]) -> None:
    content["smpl_params_incam"]["transl"] = torch.zeros(1).expand(2**40)


UNKNOWN = "no program that is known"
WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "phalp: no pose": (phalp(lambda f: f["smpl"][0].pop("body_pose")), r"picture 0, lacks `body_pose`"),
    "phalp: no body": (phalp(lambda f: f.update(smpl=[None])), "holds NoneType where named values"),
    "phalp: lists": (phalp(lambda f: f["camera"].pop()), "lists of different lengths"),
    "phalp: flat": (phalp(flat_pose), r"`body_pose` of shape \(23, 3\)"),
    "phalp: no turn": (phalp(no_rotations), "no rotation matrices"),
    "phalp: nan": (phalp(lambda f: f["camera"][0].fill(np.nan)), "`camera` with values that are no numbers"),
    "phalp: text": (phalp(lambda f: f["camera"].__setitem__(0, ["a", "b"])), "`camera` that holds str"),
    "phalp: time": (phalp(lambda f: f.update(time=-2)), "a picture of number -2"),
    "wham: lists": (wham(lambda p: p.update(trans=[[0.0, 0, 3]] * COUNT)), "`trans` that holds list"),
    "wham: length": (wham(lambda p: p.update(trans=np.zeros((3, 3)))), r"shape \(3, 3\), expected \(20, 3\)"),
    "wham: degrees": (wham(lambda p: p.update(pose=np.full((COUNT, 72), 90.0))), "no angles in radians"),
    "wham: nan": (wham(lambda p: p.update(pose=with_nan(p["pose"]))), "`pose` with values that are no"),
    "wham: frames": (wham(lambda p: p.update(frame_ids=np.zeros(COUNT))), "`frame_ids` that are not whole"),
    "wham: nobody": (lambda path: joblib.dump(made_up.wham_content({1: walker(0)}), path), "holds nobody"),
    "gvhmr: no transl": (gvhmr(lambda c: c["smpl_params_incam"].pop("transl")), "lacks `transl`"),
    "gvhmr: claims": (gvhmr(endless), "too many for any clip"),
    "gvhmr: pose": (gvhmr(short_pose), "has 5 poses and 20"),
    "gvhmr: camera": (gvhmr(lambda c: c.update(K_fullimg=-c["K_fullimg"])), "no camera"),
    "other keys": (lambda path: joblib.dump({"joints": np.zeros(3)}, path), rf"{UNKNOWN} \(keys joints\)"),
    "list": (lambda path: joblib.dump([1, 2], path), rf"{UNKNOWN} \(list\)"),
    "array": (lambda path: np.save(path.open("wb"), np.zeros(3)), "holds an array"),
}


@pytest.mark.parametrize("which", WRONG)
def test_wrong_values_are_named(tmp_path: Path, which: str) -> None:
    write, complaint = WRONG[which]
    path = tmp_path / "theirs.pkl"
    write(path)
    assert is_foreign(path)
    with pytest.raises(InputError, match=complaint) as caught:
        read_people(path, SIZE)
    assert "theirs.pkl" in caught.value.problem
    assert caught.value.next_step


def test_a_wrong_camera_of_tram_s(tmp_path: Path) -> None:
    folder = made_up.write_tram(tmp_path / "hps", [walker(COUNT)], camera(300))
    np.save(folder / "camera.npy", {"img_focal": -3.0, "img_center": [160, 120]})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"camera\.npy .*no camera"):
        read_people(folder, SIZE)
