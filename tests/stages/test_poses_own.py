"""Stage poses with results of other programs: the right person, in the right place, in every frame kept."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from models.body import Motion, load_embedded_body
from models.body.transfer import SMPL_STATURE, usual_stature
from models.errors import InputError
from stages.poses import STAGE, PosesSettings
from tests.models.body.made_up_smpl import joints as smpl_joints
from tests.models.body.made_up_smpl import write_npz
from tests.models.hmr.foreign import made_up
from tests.models.hmr.foreign.made_up import SIZE, Walker, camera, walker
from tests.stages.conftest import CallStage, FramesFolder

COUNT = 12  # frames kept, of twice as many; the clip's focal length is 300
PROGRAMS = ("phalp", "wham", "gvhmr", "tram")


def write(program: str, folder: Path, people: dict[int, Walker], count: int = 2 * COUNT) -> Path:
    if program == "phalp":
        return made_up.write_phalp(folder / "demo_clip.pkl", people, count, 300)
    if program == "wham":
        return made_up.write_wham(folder / "wham_output.pkl", people)
    if program == "gvhmr":
        return made_up.write_gvhmr(folder / "hmr4d_results.pt", people[1], camera(300))
    return made_up.write_tram(folder / "hps", list(people.values()), camera(300))


def box(person: Walker, frame: int) -> np.ndarray:
    """Around their joints as the clip's camera sees them."""
    body = load_embedded_body()
    poses, pelvis = (
        torch.from_numpy(values[frame : frame + 1]).float() for values in (person.poses, person.pelvis)
    )
    posed = body.articulate(poses, pelvis - body.joint_template[0], torch.zeros(10))[1][0].double().numpy()
    points = posed @ camera(300).T
    points = points[:, :2] / points[:, 2:]
    return np.concatenate([points.min(0) - 5, points.max(0) + 5])


@pytest.fixture
def people() -> dict[int, Walker]:
    return {1: walker(2 * COUNT), 2: walker(2 * COUNT, -1.0, seed=1)}


@pytest.fixture
def inputs(frames_folder: FramesFolder, tmp_path: Path, people: dict[int, Walker]) -> dict[str, Path]:
    """The subject is person 1; the clip's focal length is known."""
    frames = frames_folder([np.zeros((SIZE[1], SIZE[0], 3), np.uint8)] * COUNT)
    with np.load(frames / "frames.npz") as data:
        np.savez(frames / "frames.npz", **{**data, "focal_source": "user"})
    return {"frames": frames, "detect": subject(tmp_path / "detect", people[1])}


def subject(folder: Path, person: Walker) -> Path:
    folder.mkdir(exist_ok=True)
    boxes = np.stack([box(person, 2 * frame) for frame in range(COUNT)])
    np.savez(folder / "subject.npz", boxes=boxes, scores=np.ones(COUNT), valid=np.ones(COUNT, bool))
    return folder


def assert_is(motion: Motion, person: Walker, frames: np.ndarray, atol: float = 0.01) -> None:
    assert motion.joints is not None
    np.testing.assert_allclose(motion.joints[frames, 0], person.pelvis[2 * frames], atol=atol)
    turns = [
        Rotation.from_rotvec(poses.reshape(-1, 3))
        for poses in (motion.poses[frames], person.poses[2 * frames])
    ]
    assert np.degrees((turns[0].inv() * turns[1]).magnitude()).max() < 1


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_subject_is_found_and_put_before_the_clip_s_camera(
    program: str, inputs: dict[str, Path], people: dict[int, Walker], call_stage: CallStage, tmp_path: Path
) -> None:
    summary, folder = call_stage(STAGE, PosesSettings(file=write(program, tmp_path, people)), **inputs)
    motion = Motion.load(folder / "motion.npz")
    assert summary["program"].lower() == program
    assert summary["people"] == (1 if program == "gvhmr" else 2)
    assert summary["overlap"] > 0.4
    assert_is(motion, people[1], np.arange(COUNT))
    assert motion.valid.all()
    np.testing.assert_array_equal(motion.frame, 2 * np.arange(COUNT))
    np.testing.assert_allclose(motion.K, camera(300))
    assert (motion.width, motion.height) == SIZE
    assert usual_stature(motion.joints) == pytest.approx(SMPL_STATURE, abs=0.01)
    assert any("shape" in warning for warning in summary["warnings"])


@pytest.mark.parametrize("program", ["phalp", "wham", "tram"])
def test_another_subject_is_another_person_of_the_file(
    program: str, inputs: dict[str, Path], people: dict[int, Walker], call_stage: CallStage, tmp_path: Path
) -> None:
    subject(inputs["detect"], people[2])
    _, folder = call_stage(STAGE, PosesSettings(file=write(program, tmp_path, people)), **inputs)
    assert_is(Motion.load(folder / "motion.npz"), people[2], np.arange(COUNT))


@pytest.mark.parametrize("program", ["phalp", "wham", "tram"])
def test_missing_frames_are_interpolated_and_not_valid(
    program: str, inputs: dict[str, Path], people: dict[int, Walker], call_stage: CallStage, tmp_path: Path
) -> None:
    there = np.setdiff1d(np.arange(2 * COUNT), [0, 1, 9, 10, 11, 12, 13])
    with_gaps = people | {1: people[1].only(there)}
    summary, folder = call_stage(STAGE, PosesSettings(file=write(program, tmp_path, with_gaps)), **inputs)
    motion = Motion.load(folder / "motion.npz")
    assert np.flatnonzero(~motion.valid).tolist() == [0, 5, 6]
    assert any("3 frames" in warning for warning in summary["warnings"])
    assert_is(motion, people[1], np.flatnonzero(motion.valid))
    assert motion.joints is not None
    np.testing.assert_allclose(motion.joints[5:7, 0], people[1].pelvis[[10, 12]], atol=0.01)
    np.testing.assert_allclose(
        motion.poses[0], motion.poses[1], atol=1e-5
    )  # held; frame 2 is the first known


def test_a_file_of_the_frames_kept(
    inputs: dict[str, Path], people: dict[int, Walker], call_stage: CallStage, tmp_path: Path
) -> None:
    kept = np.arange(0, 2 * COUNT, 2)
    short = {number: replace(person.only(kept), frames=np.arange(COUNT)) for number, person in people.items()}
    path = write("phalp", tmp_path, short, COUNT)
    _, folder = call_stage(STAGE, PosesSettings(file=path), **inputs)
    assert_is(Motion.load(folder / "motion.npz"), people[1], np.arange(COUNT))


def test_smpl_keeps_the_program_s_shape(
    inputs: dict[str, Path], people: dict[int, Walker], call_stage: CallStage, tmp_path: Path
) -> None:
    pytest.importorskip("smplx", reason="smplx is not installed (extra `models`)")
    settings = PosesSettings(
        file=write("tram", tmp_path, people), body=write_npz(tmp_path / "SMPL_NEUTRAL.npz")
    )
    summary, folder = call_stage(STAGE, settings, **inputs)
    motion = Motion.load(folder / "motion.npz")
    assert (motion.body, summary["warnings"]) == ("smpl", [])
    np.testing.assert_allclose(motion.betas, np.median(people[1].betas, axis=0), atol=1e-5)
    assert motion.joints is not None
    shaped = (
        smpl_joints()[0] + 0.03 * motion.betas[0] * smpl_joints()[0]
    )  # the made-up body's first component
    np.testing.assert_allclose(motion.joints[:, 0] - motion.trans, np.tile(shaped, (COUNT, 1)), atol=0.01)


def test_a_guessed_focal_length_gives_way_to_the_program_s_but_not_to_a_long_lens(
    inputs: dict[str, Path], people: dict[int, Walker], call_stage: CallStage, tmp_path: Path
) -> None:
    path = inputs["frames"] / "frames.npz"
    with np.load(path) as data:
        np.savez(path, **{**data, "focal_source": "guess"})
    for program, focal in (("wham", 400.0), ("phalp", 300.0)):
        _, folder = call_stage(STAGE, PosesSettings(file=write(program, tmp_path, people)), **inputs)
        motion = Motion.load(folder / "motion.npz")
        assert motion.K[0, 0] == pytest.approx(focal)
        assert motion.joints is not None
        assert motion.joints[0, 0, 2] == pytest.approx(4 * focal / 300, rel=0.01)
        folder.rename(tmp_path / program)
        (tmp_path / "poses.scratch").rmdir()


def elsewhere(people: dict[int, Walker]) -> dict[int, Walker]:
    return {1: replace(people[1], pelvis=people[1].pelvis + np.float64([1.8, 0, 0]))}


def longer(people: dict[int, Walker]) -> dict[int, Walker]:
    return {1: walker(3 * COUNT)}


@pytest.mark.parametrize(
    ("program", "change", "count", "complaint"),
    [
        ("phalp", elsewhere, 2 * COUNT, "nobody where the subject is"),
        ("gvhmr", elsewhere, 2 * COUNT, "nobody where the subject is"),
        ("phalp", longer, 3 * COUNT, "holds 36 poses, but 12 frames are kept of 24"),
        ("gvhmr", longer, 3 * COUNT, "holds 36 poses, but 12 frames are kept of 24"),
        ("wham", longer, 3 * COUNT, "holds 36 poses, but 12 frames are kept of 24"),
    ],
)
def test_files_of_another_clip_are_refused(
    program: str,
    change: Callable[[dict[int, Walker]], dict[int, Walker]],
    count: int,
    complaint: str,
    inputs: dict[str, Path],
    people: dict[int, Walker],
    call_stage: CallStage,
    tmp_path: Path,
) -> None:
    path = write(program, tmp_path, change(people), count)
    with pytest.raises(InputError, match=complaint) as caught:
        call_stage(STAGE, PosesSettings(file=path), **inputs)
    assert path.name in caught.value.problem
