"""The user's own motion, a motion file or another program's results, for the clip's frames and body."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.body import SHAPE_COUNT, BodyModel, Motion, retarget
from models.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from models.body.transfer import SMPL_PELVIS
from models.cameras import towards
from models.errors import InputError
from models.hmr.foreign import Chosen, Person, choose, is_foreign, read_people
from stages.base import Work
from stages.frames import Frames
from stages.masks import Subject

Array = NDArray[np.float64]
Facts = dict[str, Any]

MISCOUNTED = 2  # pictures by which programs disagree about a video's length
LEAST_OVERLAP = 0.1  # of a person's box with the subject's; of joints that fit it is about a half


def users_motion(work: Work, frames: Frames, body: BodyModel) -> tuple[Motion, Facts]:
    """The user's own motion at the frames kept, on the run's body.

    A file that does not name its body comes from another estimator, and those speak of SMPL. Its camera is
    believed rather than a guess of ours; a camera that is known takes its place, and that of programs which
    assume a very long lens whatever the camera is.

    Raises:
        InputError: the file cannot be used, or has nobody where the subject is.
    """
    path: Path = work.settings.file
    if is_foreign(path):
        subject = Subject.load(work.inputs["detect"])
        motion, facts, camera_known = _of_another_program(path, frames, subject, body)
    else:
        motion, facts, camera_known = _of_a_motion_file(path, frames), {}, True
    motion = retarget(motion, body)
    _check_in_front(motion)
    width, height = frames.source_width, frames.source_height
    K = motion.intrinsics(width, height)
    if frames.focal_source != "guess" or not camera_known:
        motion, K = _through_camera(motion, K, frames.K_source), frames.K_source
    return replace(motion, K=K, width=width, height=height), {"source": str(path), **facts}


def _of_a_motion_file(path: Path, frames: Frames) -> Motion:
    motion = Motion.load(path, body="smpl")
    if len(motion) == frames.source_frames:
        chosen = frames.source_index
    elif len(motion) == len(frames):
        chosen = np.arange(len(frames))
    else:
        raise _other_length(path, len(motion), frames)
    return replace(
        motion,
        poses=motion.poses[chosen],
        trans=motion.trans[chosen],
        joints=None if motion.joints is None else motion.joints[chosen],
        valid=motion.valid[chosen],
        frame=frames.source_index,
        fps=frames.fps,
    )


def _of_another_program(
    path: Path, frames: Frames, subject: Subject, body: BodyModel
) -> tuple[Motion, Facts, bool]:
    """The subject's motion at the frames kept; facts; whether the camera is to be believed."""
    people = read_people(path, (frames.source_width, frames.source_height))
    index = _index(path, people, frames)
    size = (frames.width, frames.height)
    chosen = choose(people, index, subject.boxes, subject.valid, size, body)
    if chosen is None or chosen.overlap < LEAST_OVERLAP:
        raise InputError(
            f"{path} ({people[0].program}) holds {len(people)} people, but nobody where the subject is.",
            "Give poses that were found in this video, or choose somebody else with --person.",
        )
    person = chosen.person
    shape = np.zeros(SHAPE_COUNT) if person.betas is None else np.median(person.betas, axis=0)
    motion = Motion(
        poses=chosen.poses.astype(np.float32),
        trans=(chosen.pelvis - SMPL_PELVIS).astype(np.float32),
        betas=shape.astype(np.float32),
        K=person.K,
        frame=frames.source_index,
        fps=frames.fps,
        width=round(person.width),
        height=round(person.height),
        body="smpl",
        valid=chosen.known,
    )
    facts = {
        "program": person.program,
        "person": person.name,
        "people": len(people),
        "overlap": round(chosen.overlap, 3),
        "warnings": _warnings(chosen, body),
    }
    return motion, facts, person.camera_known


def _index(path: Path, people: list[Person], frames: Frames) -> NDArray[np.int64]:
    """Which of the program's pictures each frame kept is."""
    length = people[0].length
    if length is None:
        last = max(int(person.frames[-1]) for person in people)
        if last >= frames.source_frames + MISCOUNTED:
            raise _other_length(path, last + 1, frames)
    elif abs(length - frames.source_frames) > MISCOUNTED:
        if length != len(frames):
            raise _other_length(path, length, frames)
        return np.arange(len(frames))
    return frames.source_index


def _warnings(chosen: Chosen, body: BodyModel) -> list[str]:
    person, missing = chosen.person, int((~chosen.known).sum())
    warnings = []
    if missing:
        warnings.append(f"{person.program} has no pose in {missing} frames; they are interpolated")
    if person.betas is None:
        warnings.append(f"{person.program}'s shape is for SMPL-X's body; an average one takes its place")
    elif body.kind != "smpl":
        warnings.append(
            f"the shape that {person.program} found is for SMPL's own body, which --body SMPL_NEUTRAL.pkl "
            "brings; the embedded body starts from an average one"
        )
    return warnings


def _other_length(path: Path, length: int, frames: Frames) -> InputError:
    return InputError(
        f"{path} holds {length} poses, but {len(frames)} frames are kept of {frames.source_frames}.",
        "Give one pose for every frame kept, or one for every frame of the video.",
    )


def _check_in_front(motion: Motion) -> None:
    depth = np.asarray(motion.joints)[:, 0, 2]
    if depth.min() <= 0:
        raise InputError(
            f"The motion has the person behind the camera in frame {motion.frame[depth.argmin()]}.",
            "Its trans must be in the camera's space: x right, y down, z forward.",
        )


def _through_camera(motion: Motion, own: Array, clip: Array) -> Motion:
    """The motion where the clip's camera (3,3) shows it as its own camera (3,3) did.

    The pelvis keeps its place and size in the picture, at another depth if the focal lengths differ, and the
    body turns with the ray on which it is seen.
    """
    joints = np.asarray(motion.joints, np.float64)
    pelvis = joints[:, 0]
    ray = pelvis / pelvis[:, 2:] @ (np.linalg.inv(clip) @ own).T
    place = ray * pelvis[:, 2:] * (clip[1, 1] / own[1, 1])
    turn = towards(place) @ towards(pelvis).swapaxes(-1, -2)
    orient = torch.from_numpy(turn) @ axis_angle_to_matrix(torch.from_numpy(motion.poses[:, :3]).double())
    turned = (joints - pelvis[:, None]) @ turn.swapaxes(-1, -2)
    poses = np.concatenate([matrix_to_axis_angle(orient).numpy(), motion.poses[:, 3:]], -1)
    return replace(
        motion,
        poses=poses.astype(np.float32),
        trans=(motion.trans + place - pelvis).astype(np.float32),
        joints=(place[:, None] + turned).astype(np.float32),
    )
