"""Files as PHALP, WHAM, GVHMR and TRAM write them, of made-up people."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from models.body.transfer import SMPL_PELVIS
from models.cameras import towards
from models.hmr.foreign.people import SMPLX_PELVIS

SIZE = (320, 240)  # width, height of the video


@dataclass(frozen=True)
class Walker:
    """Somebody in camera space: frames (N,), poses (N,72), pelvises (N,3)."""

    frames: np.ndarray
    poses: np.ndarray
    pelvis: np.ndarray
    betas: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)

    def only(self, frames: np.ndarray) -> "Walker":
        """The same, in some of their frames."""
        kept = np.isin(self.frames, frames)
        return Walker(self.frames[kept], self.poses[kept], self.pelvis[kept], self.betas[kept])


def walker(count: int, x: float = 0.0, seed: int = 0) -> Walker:
    """Somebody 4 m away, upright, who moves to the right and swings an arm and a leg."""
    time = np.arange(count) / 30
    poses = np.zeros((count, 24, 3))
    upright = Rotation.from_rotvec([np.pi, 0, 0])
    poses[:, 0] = (upright * Rotation.from_rotvec(np.outer(time, [0, 0.8, 0]))).as_rotvec()
    poses[:, 16, 2], poses[:, 17, 2] = -1.2, 1.2
    poses[:, 1, 0] = 0.4 * np.sin(4 * time)
    pelvis = np.stack([x + 0.3 * time, np.full(count, 0.1), np.full(count, 4.0)], -1)
    betas = np.random.default_rng(seed).normal(0, 0.05, (count, 10)) + np.linspace(1, -1, 10)
    return Walker(np.arange(count), poses.reshape(count, 72), pelvis, betas)


def camera(focal: float, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1]])


def seen_by(person: Walker, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Poses and pelvises for another camera that shows the same: for a longer lens, further away."""
    place = (person.pelvis @ (np.linalg.inv(after) @ before).T) * (after[1, 1] / before[1, 1])
    turn = Rotation.from_matrix(towards(place) @ towards(person.pelvis).swapaxes(-1, -2))
    orient = (turn * Rotation.from_rotvec(person.poses[:, :3])).as_rotvec()
    return np.concatenate([orient, person.poses[:, 3:]], -1), place


def matrices(poses: np.ndarray) -> np.ndarray:
    turns = Rotation.from_rotvec(poses.reshape(-1, 3)).as_matrix().astype(np.float32)
    return turns.reshape(len(poses), 24, 3, 3)


def phalp_content(
    people: dict[int, Walker], count: int, focal: float, size: tuple[int, int] = SIZE
) -> dict[str, Any]:
    """As PHALP's tracker collects it; a person who is gone is predicted for three more pictures."""
    lens = camera(5000 / 256 * max(size), size)
    frames: dict[str, Any] = {}
    for time in range(count):
        frames[f"_DEMO/clip/img/{time:06d}.jpg"] = {
            "time": time, "shot": 0, "frame_path": f"_DEMO/clip/img/{time:06d}.jpg",
            **{name: [] for name in (
                "tid", "tracked_ids", "tracked_bbox", "bbox", "tracked_time", "center", "scale", "size",
                "smpl", "camera", "camera_bbox", "conf", "class_name", "3d_joints", "mask", "annotations",
            )},
        }  # fmt: skip
    rows = list(frames.values())
    for number, person in people.items():
        poses, place = seen_by(person, camera(focal, size), lens)
        turns = matrices(poses)
        last = int(person.frames[-1])
        for time in range(count):
            behind = 0 if time in person.frames else time - last
            if not 0 <= behind <= 3:
                continue
            index = int(np.flatnonzero(person.frames == (time if behind == 0 else last))[0])
            row = rows[time]
            for name, value in {
                "tid": number, "tracked_time": behind, "bbox": np.array([10.0, 20, 30, 60]),
                "size": [size[1], size[0]], "conf": np.float32(0.9), "class_name": np.int64(0),
                "center": np.array([25.0, 50]), "scale": np.array([30.0, 60]), "annotations": [],
                "smpl": {
                    "global_orient": turns[index, :1], "body_pose": turns[index, 1:],
                    "betas": person.betas[index].astype(np.float32),
                },
                "camera": (place[index] - SMPL_PELVIS).astype(np.float32),
                "camera_bbox": np.array([0.9, 0, 0], np.float32), "3d_joints": np.zeros((45, 3), np.float32),
                "mask": [{"size": [240, 320], "counts": "abc"}],
            }.items():  # fmt: skip
                row[name].append(value)
    return frames


def write_phalp(
    path: Path, people: dict[int, Walker], count: int, focal: float, size: tuple[int, int] = SIZE
) -> Path:
    joblib.dump(phalp_content(people, count, focal, size), path, compress=3)
    return path


def wham_content(people: dict[int, Walker]) -> dict[int, Any]:
    results: dict[int, Any] = defaultdict(dict)
    focal = float(np.hypot(*SIZE))
    for number, person in people.items():
        poses, place = seen_by(person, camera(300), camera(focal))
        results[number] = {
            "pose": poses.astype(np.float32), "trans": (place - SMPL_PELVIS).astype(np.float32),
            "pose_world": poses.astype(np.float32), "trans_world": place.astype(np.float32),
            "betas": person.betas.astype(np.float32), "verts": np.zeros((len(person), 50, 3), np.float32),
            "frame_ids": person.frames,
        }  # fmt: skip
    return results


def write_wham(path: Path, people: dict[int, Walker]) -> Path:
    joblib.dump(wham_content(people), path)
    return path


def gvhmr_content(person: Walker, K: np.ndarray) -> dict[str, Any]:
    tensors = {
        "global_orient": person.poses[:, :3], "body_pose": person.poses[:, 3:66],
        "transl": person.pelvis - SMPLX_PELVIS, "betas": person.betas,
    }  # fmt: skip
    body = {name: torch.from_numpy(value).float() for name, value in tensors.items()}
    return {
        "smpl_params_global": {name: value + 1 for name, value in body.items()},
        "smpl_params_incam": body,
        "K_fullimg": torch.from_numpy(K).float().repeat(len(person), 1, 1),
        "net_outputs": {"model_output": {"pred_cam": torch.zeros(1, len(person), 3)}, "none": None},
    }


def write_gvhmr(path: Path, person: Walker, K: np.ndarray) -> Path:
    torch.save(gvhmr_content(person, K), path)
    return path


def tram_track(person: Walker) -> dict[str, Any]:
    numbers = {
        "pred_cam": np.ones((len(person), 3)), "pred_pose": np.zeros((len(person), 144)),
        "pred_shape": person.betas, "pred_rotmat": matrices(person.poses),
        "pred_trans": (person.pelvis - SMPL_PELVIS)[:, None],
    }  # fmt: skip
    tensors = {name: torch.from_numpy(value).float() for name, value in numbers.items()}
    return {**tensors, "frame": torch.from_numpy(person.frames)}


def write_tram(folder: Path, people: list[Walker], K: np.ndarray) -> Path:
    folder.mkdir()
    camera_content = {
        "pred_cam_R": np.tile(np.eye(3), (3, 1, 1)), "pred_cam_T": np.zeros((3, 3)),
        "img_focal": np.float64(K[0, 0]), "img_center": K[:2, 2].copy(),
    }  # fmt: skip
    np.save(folder / "camera.npy", camera_content)  # type: ignore[arg-type]
    for number, person in enumerate(people):
        np.save(folder / f"hps_track_{number}.npy", tram_track(person))  # type: ignore[arg-type]
    return folder
