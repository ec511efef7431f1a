"""The whole chain with each combination of engines, the real ones small, and with the user's own files.

What a run proves is that every engine's results are taken by all later stages, and that they are of the same
kind as its twin's; not that they are any good.
"""

import json
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("segment_anything")
pytest.importorskip("transformers")
pytest.importorskip("ultralytics")

from stages.images import read_grey
from stages.video import write_video
from tests.e2e.conftest import CLIP, FRAMES, OPTIONS, Ended
from tests.e2e.small_networks import install_all

REAL = {"detect": "yolo", "poses": "hmr2", "masks": "sam", "depth": "depth_anything"}
EMBEDDED = {"detect": "blazepose", "poses": "blazepose", "masks": "blazepose", "depth": "none"}
FEW_STEPS = (
    "--set", "optimize.alignment_steps=20", "--set", "optimize.silhouette_steps=5", "--set",
    "optimize.joint_steps=20", "--set", "optimize.appearance_steps=5",
)  # fmt: skip
Call = Callable[..., Ended]


@pytest.fixture
def networks(half_done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All real engines can run."""
    with np.load(half_done / "detect" / "subject.npz") as subject:
        install_all(monkeypatch, tmp_path / "cache", subject["boxes"])


def run(call: Call, workspace: Path, *options: object) -> dict[str, Any]:
    """The manifests of a run that ends well, by stage."""
    ended = call("run", CLIP, "--workspace", workspace, *OPTIONS, *FEW_STEPS, "--device", "cpu", *options)
    assert ended.status == 0, ended.err
    facts = json.loads(call("status", workspace, "--json").out)
    assert facts["complete"]
    return {path.parent.name: json.loads(path.read_text()) for path in workspace.glob("*/manifest.json")}


def chosen(engines: dict[str, str]) -> list[str]:
    return [part for stage, name in engines.items() for part in ("--set", f"{stage}.engine={name}")]


def kinds(folder: Path) -> dict[str, Any]:
    """What a stage's folder holds: of arrays the names, types and shapes, of pictures the sizes."""
    arrays = {}
    for path in folder.glob("*.npz"):
        with np.load(path, allow_pickle=False) as file:
            arrays |= {f"{path.name}/{name}": (file[name].dtype, file[name].shape) for name in file.files}
    pictures = {str(path.relative_to(folder)): read_grey(path).shape for path in folder.rglob("*.png")}
    return arrays | pictures


def check_result(workspace: Path) -> None:
    with np.load(workspace / "export" / "motion.npz", allow_pickle=False) as motion:
        assert motion["poses"].shape == (FRAMES, 72)
        assert all(np.isfinite(motion[name]).all() for name in ("poses", "trans", "betas", "joints"))
    assert (workspace / "export" / "report.html").stat().st_size > 1000


def test_auto_takes_every_real_engine_and_its_results_are_of_the_twins_kind(
    networks: None, half_done: Path, call: Call, tmp_path: Path
) -> None:
    workspace = tmp_path / "real.hsplat"
    manifests = run(call, workspace)
    assert {stage: manifests[stage]["engine"] for stage in REAL} == REAL
    assert all(len(manifests[stage]["weights"]) == 1 for stage in REAL)
    for stage in ("detect", "poses", "masks"):
        assert kinds(workspace / stage) == kinds(half_done / stage)
    with np.load(workspace / "depth" / "depth.npz", allow_pickle=False) as depth:
        assert depth["disparity"].shape[0] == FRAMES
    check_result(workspace)


def test_files_of_the_users_own_for_masks_and_depth(half_done: Path, call: Call, tmp_path: Path) -> None:
    masks = [read_grey(path) for path in sorted((half_done / "masks").glob("*.png"))]
    write_video(tmp_path / "matte.mp4", [np.dstack([mask] * 3) for mask in masks], 15)
    (tmp_path / "depth").mkdir()
    for index, mask in enumerate(masks):
        millimetres = np.where(mask > 127, 3000, 6000).astype(np.uint16)
        (tmp_path / "depth" / f"{index}.png").write_bytes(cv2.imencode(".png", millimetres)[1].tobytes())
    before = kinds(half_done / "masks")
    manifests = run(call, half_done, "--masks", tmp_path / "matte.mp4", "--depth", tmp_path / "depth")
    assert (manifests["masks"]["engine"], manifests["depth"]["engine"]) == ("file", "file")
    assert kinds(half_done / "masks") == before
    check_result(half_done)


@pytest.mark.slow
@pytest.mark.parametrize("real", list(product([False, True], repeat=len(REAL)))[1:-1])
def test_each_combination(
    networks: None, half_done: Path, call: Call, tmp_path: Path, real: tuple[bool, ...]
) -> None:
    engines = {stage: (REAL if use else EMBEDDED)[stage] for stage, use in zip(REAL, real, strict=True)}
    workspace = shutil.copytree(half_done, tmp_path / "mixed.hsplat")
    manifests = run(call, workspace, *chosen(engines))
    assert {stage: manifests[stage]["engine"] for stage in engines} == engines
    check_result(workspace)
