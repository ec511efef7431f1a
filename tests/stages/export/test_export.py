import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from plyfile import PlyData
from scipy.spatial.transform import Rotation

from models.avatar import Avatar
from models.body import Motion
from models.errors import InputError, StageError
from models.formats import read_ply
from stages.base import Work
from stages.export import FILES, REPORT, STAGE, ExportSettings
from stages.export.content import resting
from tests.stages.export.conftest import FRAMES, Inputs

SETTINGS = ExportSettings(video_height=128, turntable_frames=6)


@pytest.fixture(scope="module")
def told() -> list[tuple[int, int]]:
    return []


@pytest.fixture(scope="module")
def exported(
    tmp_path_factory: pytest.TempPathFactory, inputs: Inputs, told: list[tuple[int, int]]
) -> Iterator[tuple[Path, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("export")

    def progress(done: int, total: int, note: str = "") -> None:
        told.append((done, total))

    summary = STAGE.run(Work(inputs, folder, folder, SETTINGS, STAGE.engine(SETTINGS), progress))
    yield folder, summary


def length_and_size(path: Path) -> tuple[int, int, int, float]:
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        frames = [frame for packet in video.demux(stream) for frame in packet.decode()]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate
        return len(frames), frames[0].width, frames[0].height, float(stream.average_rate)


def test_every_promised_file_is_there_and_nothing_else(exported: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = exported
    assert {path.name for path in folder.iterdir()} == {*FILES, *REPORT} == set(summary["files"])
    assert all(path.stat().st_size for path in folder.iterdir())
    json.dumps(summary, allow_nan=False)


def test_videos_have_the_clips_length_and_rate(exported: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = exported
    assert length_and_size(folder / "overlay.mp4") == (FRAMES, 96, 128, 10)
    count, width, height, rate = length_and_size(folder / "avatar.mp4")
    assert (count, height, rate) == (FRAMES, 128, 10)
    assert width % 3 == 0
    assert length_and_size(folder / "turntable.mp4") == (6, 96, 128, 24)


def test_long_clips_are_thinned_at_the_same_speed(inputs: Inputs, tmp_path: Path) -> None:
    settings = ExportSettings(video_height=64, turntable_frames=4, video_frames=4)
    STAGE.run(Work(inputs, tmp_path, tmp_path, settings, "numba"))
    count, _, _, rate = length_and_size(tmp_path / "overlay.mp4")
    assert count == 4
    assert rate == pytest.approx(10 * 4 / FRAMES)


def test_progress_rises_to_its_end(
    exported: tuple[Path, dict[str, Any]], told: list[tuple[int, int]]
) -> None:
    done, totals = zip(*told, strict=True)
    assert set(totals) == {2 * FRAMES + 6}
    assert list(done) == list(range(1, 2 * FRAMES + 6 + 1))


def test_the_ply_is_the_avatar_in_its_rest_pose(
    exported: tuple[Path, dict[str, Any]], avatar: Avatar
) -> None:
    folder, _ = exported
    ply = PlyData.read(str(folder / "avatar.ply"))
    assert len(ply["vertex"].properties) == 62
    assert any("Y up" in comment for comment in ply.comments)
    back = read_ply(folder / "avatar.ply")
    assert back.means == pytest.approx(avatar.means.numpy())
    assert back.colors == pytest.approx(avatar.colors.numpy(), abs=1e-6)
    assert back.opacities == pytest.approx(avatar.opacity_logits.sigmoid().numpy(), abs=1e-6)


def test_a_ply_for_viewers_that_hold_y_downwards_is_the_same_body_turned(avatar: Avatar) -> None:
    upright, turned = resting(avatar), resting(avatar, "-y")
    assert turned.means == pytest.approx(upright.means * [1, -1, -1], abs=1e-6)

    def covariances(s: Any) -> np.ndarray:
        axes = Rotation.from_quat(s.rotations, scalar_first=True).as_matrix() * s.scales[:, None]
        return axes @ axes.transpose(0, 2, 1)

    flip = np.diag([1.0, -1, -1])
    assert covariances(turned) == pytest.approx(flip @ covariances(upright) @ flip, abs=1e-7)


def test_results_are_copied_whole(exported: tuple[Path, dict[str, Any]], inputs: Inputs) -> None:
    folder, _ = exported
    assert len(Avatar.load(folder / "avatar.npz")) == len(Avatar.load(inputs["optimize"] / "avatar.npz"))
    refined, initial = Motion.load(folder / "motion.npz"), Motion.load(folder / "motion_initial.npz")
    assert (initial.trans - refined.trans)[:, 0].mean() == pytest.approx(0.15, abs=0.02)


def test_the_report_tells_stages_figures_and_no_folders(exported: tuple[Path, dict[str, Any]]) -> None:
    page = (exported[0] / "report.html").read_text(encoding="utf-8")
    assert "<h1>my clip.mp4</h1>" in page
    for words in (
        "engine of poses",
        "person 1, score 0.5",
        "20.50 dB",
        "12.00 dB",
        "300 MiB",
        "62 s",
        "poses.npz",
        "joint",
        "turntable.mp4",
        "any video player",
        "hsplat-pipeline run &#39;my clip.mp4&#39; ",
        "--set export.video_height=128 --set export.turntable_frames=6",
        "motion interpolated",
        "The pelvis from above",
        "<b>Back</b>0 of 7",
    ):
        assert words in page
    assert "/home" not in page
    assert "secret" not in page
    assert page.count("data:image/jpeg") == 4 + 1 + 5 * 4 + 1
    assert not re.search(r"\bnan\b|\binf\b", re.sub(r"base64,[^\"]+", "", page), re.IGNORECASE)


def test_metrics_are_strict_json(exported: tuple[Path, dict[str, Any]]) -> None:
    found = json.loads(
        (exported[0] / "metrics.json").read_text(), parse_constant=lambda word: pytest.fail(word)
    )
    assert found["frames_seen"] == FRAMES - 1
    assert found["held_out"]["fitted poses"]["psnr"] == 20.5


def test_equal_inputs_give_equal_pictures(
    exported: tuple[Path, dict[str, Any]], inputs: Inputs, tmp_path: Path
) -> None:
    STAGE.run(Work(inputs, tmp_path, tmp_path, SETTINGS, "numba"))
    for name in ("report.html", "viewer.html", "metrics.json", "avatar.ply"):
        assert (tmp_path / name).read_bytes() == (exported[0] / name).read_bytes()


def test_stages_that_disagree_are_named(inputs: Inputs, motion: Motion, tmp_path: Path) -> None:
    shorter = {"poses": motion.poses, "trans": motion.trans, "betas": motion.betas, "K": motion.K}
    (tmp_path / "poses").mkdir()
    np.savez(
        tmp_path / "poses" / "motion.npz",
        **{name: value[:5] if len(value) == FRAMES else value for name, value in shorter.items()},
    )
    with pytest.raises(StageError, match=r"number of frames: \[5, 8\]"):
        STAGE.run(Work({**inputs, "poses": tmp_path / "poses"}, tmp_path, tmp_path, SETTINGS, "numba"))


def test_a_body_file_that_is_none_is_refused(inputs: Inputs, tmp_path: Path) -> None:
    (tmp_path / "body.npz").write_bytes(b"nothing")
    settings = ExportSettings(body=tmp_path / "body.npz")
    with pytest.raises(InputError, match=r"body\.npz"):
        STAGE.run(Work(inputs, tmp_path, tmp_path, settings, "numba"))


def test_a_motion_of_another_body_is_refused(inputs: Inputs, motion: Motion, tmp_path: Path) -> None:
    (tmp_path / "optimize").mkdir()
    replace(motion, body="smpl").save(tmp_path / "optimize" / "motion.npz")
    Avatar.load(inputs["optimize"] / "avatar.npz").save(tmp_path / "optimize" / "avatar.npz")
    with pytest.raises(InputError, match="--body"):
        STAGE.run(Work({**inputs, "optimize": tmp_path / "optimize"}, tmp_path, tmp_path, SETTINGS, "numba"))
