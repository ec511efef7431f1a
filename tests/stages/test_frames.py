"""Stage frames on clips of every kind, good and bad."""

import errno
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from models.errors import InputError, StageError
from stages import frames
from stages.frames import (
    STAGE,
    Frames,
    FramesSettings,
    focal_length,
    intrinsics,
    make_plan,
    nearest,
    working_size,
)
from stages.probe import VideoInfo, probe
from tests.stages.conftest import CallStage, MakeClip

# Left half red, upper right quarter green, lower right quarter blue: every wrong turn or mirroring shows.
QUARTERS = (
    "color=red:size=96x64:rate=10:duration=1,drawbox=48:0:48:32:0x00FF00:fill,drawbox=48:32:48:32:blue:fill"
)
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
TEST = "testsrc=size=96x64:rate=30:duration=1"
Place = tuple[float, float, tuple[int, int, int]]


def video_info(times: NDArray[np.float64], focal_35mm: float | None = None) -> VideoInfo:
    return VideoInfo(Path("clip.mp4"), 0, times, 0.0, 640, 480, focal_35mm, 0.0)


def assert_colours(image: NDArray[np.uint8], places: list[Place]) -> None:
    for x, y, colour in places:
        pixel = image[int(y * image.shape[0]), int(x * image.shape[1])].astype(int)
        assert np.abs(pixel - colour).max() < 40, (x, y, pixel)


# Good clips


def test_all_pictures_of_a_slow_clip_are_kept(make_clip: MakeClip, call_stage: CallStage) -> None:
    clip = make_clip("clip.mp4", source="testsrc=size=96x64:rate=10:duration=2")
    summary, folder = call_stage(STAGE, FramesSettings(video=clip))
    result = Frames.load(folder)
    assert len(result) == summary["frames"] == 20
    np.testing.assert_allclose(result.times, np.arange(20) / 10, atol=1e-4)
    np.testing.assert_array_equal(result.source_index, np.arange(20))
    assert result.fps == pytest.approx(10)
    assert result.image(3).shape == (64, 96, 3)
    assert sum(1 for _ in result.images()) == 20
    assert summary["warnings"] == []


@pytest.mark.parametrize("rate", ["24", "30000/1001", "60", "25"])
@pytest.mark.parametrize("container", ["mp4", "mkv", "avi"])
def test_pictures_are_evenly_spaced_and_the_ones_their_index_names(
    make_clip: MakeClip, call_stage: CallStage, rate: str, container: str
) -> None:
    # a picture's grey value tells its number, so a slip by one shows
    source = f"color=size=64x48:rate={rate}:duration=0.9,geq=lum='16+4*N':cb=128:cr=128"
    clip = make_clip(f"clip.{container}", "-c:v", "mpeg4", "-q:v", "2", source=source)
    _, folder = call_stage(STAGE, FramesSettings(video=clip, fps=15))
    result = Frames.load(folder)
    grey = np.array([image.mean() for image in result.images()])
    np.testing.assert_allclose(grey, np.minimum(4 * result.source_index * 255 / 219, 255), atol=3)
    assert len(set(np.diff(result.source_index))) == 1
    assert result.fps <= 15.3


def test_variable_frame_rate_keeps_the_source_times(make_clip: MakeClip, call_stage: CallStage) -> None:
    # 30 a second, of which every fifth is dropped and all between 1 and 2 s
    gaps = "select='mod(n,5)*not(between(t,1,1.999))'"
    clip = make_clip("clip.mkv", "-fps_mode", "vfr", source=f"testsrc=size=96x64:rate=30:duration=3,{gaps}")
    summary, folder = call_stage(STAGE, FramesSettings(video=clip, fps=15))
    result = Frames.load(folder)
    source = probe(clip)
    np.testing.assert_allclose(result.times, (source.times - source.times[0])[result.source_index], atol=2e-3)
    assert result.fps == pytest.approx(15, rel=0.02)
    steps = np.sort(np.diff(result.times))
    assert steps[-1] > 0.95
    assert steps[-2] < 0.11, "even but for the gap"
    assert any("gaps" in warning for warning in summary["warnings"])


@pytest.mark.parametrize(
    ("degrees", "places"),
    [
        (0, [(0.2, 0.5, RED), (0.8, 0.2, GREEN), (0.8, 0.8, BLUE)]),
        (90, [(0.5, 0.8, RED), (0.2, 0.2, GREEN), (0.8, 0.2, BLUE)]),
        (180, [(0.8, 0.5, RED), (0.2, 0.8, GREEN), (0.2, 0.2, BLUE)]),
        (270, [(0.5, 0.2, RED), (0.8, 0.8, GREEN), (0.2, 0.8, BLUE)]),
    ],
)
def test_rotation_metadata_is_obeyed(
    make_clip: MakeClip, call_stage: CallStage, degrees: int, places: list[Place]
) -> None:
    plain = make_clip("plain.mp4", source=QUARTERS)
    turned = make_clip("turned.mp4", "-c", "copy", source=plain, before=("-display_rotation", str(degrees)))
    _, folder = call_stage(STAGE, FramesSettings(video=turned))
    result = Frames.load(folder)
    upright = (96, 64) if degrees % 180 == 0 else (64, 96)
    assert (result.source_width, result.source_height) == (result.width, result.height) == upright
    assert_colours(result.image(0), places)


def test_pixels_that_are_not_square_are_made_so(make_clip: MakeClip, call_stage: CallStage) -> None:
    clip = make_clip("clip.mp4", "-vf", "setsar=16/11", source=QUARTERS)
    _, folder = call_stage(STAGE, FramesSettings(video=clip))
    result = Frames.load(folder)
    assert (result.width, result.height) == (round(96 * 16 / 11), 64)
    assert_colours(result.image(0), [(0.2, 0.5, RED), (0.8, 0.2, GREEN), (0.8, 0.8, BLUE)])


@pytest.mark.parametrize(
    ("name", "options", "source"),
    [
        ("odd.mkv", ("-c:v", "ffv1"), "testsrc=size=97x65:rate=30:duration=1"),
        ("ten bits.mkv", ("-c:v", "libx265", "-pix_fmt", "yuv420p10le"), TEST),
        ("hdr.mkv", ("-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-color_trc", "smpte2084",
                     "-color_primaries", "bt2020", "-colorspace", "bt2020nc"), TEST),
        ("alpha.mov", ("-c:v", "prores_ks", "-pix_fmt", "yuva444p10le"), TEST),
        ("alpha.webm", ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p"), TEST),
        ("picture.gif", (), "testsrc=size=96x64:rate=10:duration=1"),
        ("bare.h264", ("-c:v", "libx264"), "testsrc=size=96x64:rate=25:duration=1"),
        ("camera.ts", ("-c:v", "libx264"), "testsrc=size=96x64:rate=25:duration=1"),
        ("old.mpg", (), "testsrc=size=96x64:rate=25:duration=1"),
        ("portrait.mp4", (), "testsrc=size=64x96:rate=30:duration=1"),
        ("Übung 1, schräg's 100%.mp4", (), TEST),
        ("-i.mp4", (), TEST),
        ("pipe:0.mp4", (), TEST),
        ("a%03d.mp4", (), TEST),
    ],
)  # fmt: skip
def test_formats_and_names(
    make_clip: MakeClip, call_stage: CallStage, name: str, options: tuple[str, ...], source: str
) -> None:
    clip = make_clip(name, *options, source=source)
    summary, folder = call_stage(STAGE, FramesSettings(video=clip))
    result = Frames.load(folder)
    assert 10 <= len(result) <= 16
    assert result.image(0).std() > 30
    assert (result.image(0) != result.image(len(result) - 1)).any()
    assert summary["warnings"] == []


def test_sound_beginning_before_the_pictures_shifts_nothing(
    make_clip: MakeClip, call_stage: CallStage
) -> None:
    late = make_clip(
        "late.mkv", "-f", "lavfi", "-i", "sine=duration=4", "-c:v", "ffv1",
        source="testsrc=size=96x64:rate=10:duration=3", before=("-itsoffset", "0.7"),
    )  # fmt: skip
    assert probe(late).times[0] == pytest.approx(0.7, abs=0.01)
    _, folder = call_stage(STAGE, FramesSettings(video=late, start=1.5))
    np.testing.assert_array_equal(Frames.load(folder).source_index, np.arange(15, 30))


def test_relative_path_with_leading_dash(
    make_clip: MakeClip, call_stage: CallStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_clip("-y.mp4")
    monkeypatch.chdir(tmp_path)
    assert call_stage(STAGE, FramesSettings(video=Path("-y.mp4")))[0]["frames"] == 15


def test_large_pictures_are_scaled_down(make_clip: MakeClip, call_stage: CallStage) -> None:
    clip = make_clip("clip.mp4", "-preset", "ultrafast", source="testsrc=size=1280x720:rate=10:duration=1")
    _, folder = call_stage(STAGE, FramesSettings(video=clip, max_side=320, focal=1000))
    result = Frames.load(folder)
    assert result.image(0).shape == (180, 320, 3)
    np.testing.assert_allclose(result.K, [[250, 0, 160], [0, 250, 90], [0, 0, 1]])
    np.testing.assert_allclose(result.K_source, [[1000, 0, 640], [0, 1000, 360], [0, 0, 1]])
    assert (result.source_width, result.source_height) == (1280, 720)
    assert result.focal_source == "user"


def test_scaling_shifts_nothing(make_clip: MakeClip, call_stage: CallStage) -> None:
    # A dot's centre of mass, in pixels with centres at +0.5, follows K.
    source = "color=black:size=512x384:rate=10:duration=1,drawbox=300:100:24:24:white:fill"
    clip = make_clip("clip.mkv", "-c:v", "ffv1", "-pix_fmt", "bgr0", source=source)
    _, folder = call_stage(STAGE, FramesSettings(video=clip, max_side=100))
    result = Frames.load(folder)
    weight = result.image(0).mean(axis=2)
    y, x = np.indices(weight.shape) + 0.5
    centre = np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()
    ray = np.linalg.inv(result.K_source) @ [312.0, 112.0, 1.0]
    np.testing.assert_allclose(centre, (result.K @ ray)[:2], atol=0.05)


def test_focal_length_from_the_cameras_metadata(make_clip: MakeClip, call_stage: CallStage) -> None:
    tag = "com.apple.quicktime.camera.focal_length.35mm_equivalent=28"
    clip = make_clip("clip.mov", "-movflags", "use_metadata_tags", "-metadata", tag)
    _, folder = call_stage(STAGE, FramesSettings(video=clip))
    result = Frames.load(folder)
    assert result.focal_source == "metadata"
    assert result.K_source[0, 0] == pytest.approx(28 / math.hypot(36, 24) * math.hypot(96, 64))


def test_part_of_a_clip(make_clip: MakeClip, call_stage: CallStage) -> None:
    clip = make_clip("clip.mp4", source="testsrc=size=96x64:rate=10:duration=6")
    _, folder = call_stage(STAGE, FramesSettings(video=clip, start=3.0, end=4.5))
    result = Frames.load(folder)
    np.testing.assert_array_equal(result.source_index, np.arange(30, 46))
    np.testing.assert_allclose(result.times, np.arange(30, 46) / 10, atol=1e-4)


def test_same_result_again(make_clip: MakeClip, call_stage: CallStage, tmp_path: Path) -> None:
    clip = make_clip("clip.mp4")
    _, folder = call_stage(STAGE, FramesSettings(video=clip))
    shutil.move(folder, tmp_path / "first")
    shutil.rmtree(tmp_path / "frames.scratch")
    _, folder = call_stage(STAGE, FramesSettings(video=clip))
    first = Frames.load(tmp_path / "first")
    again = Frames.load(folder)
    np.testing.assert_array_equal(first.times, again.times)
    assert all((a == b).all() for a, b in zip(first.images(), again.images(), strict=True))


# Choices


def test_long_clips_are_sampled_more_thinly() -> None:
    plan = make_plan(video_info(np.arange(600) / 30), FramesSettings(video="v.mp4", fps=15, max_frames=150))
    assert (len(plan.index), plan.dropped_seconds, plan.gaps) == (150, 0, 0)
    assert set(np.diff(plan.index)) == {4}
    assert plan.fps == pytest.approx(7.5)


def test_very_long_clips_keep_their_beginning_and_say_so(make_clip: MakeClip, call_stage: CallStage) -> None:
    clip = make_clip("clip.mp4", source="testsrc=size=96x64:rate=10:duration=4")
    summary, folder = call_stage(STAGE, FramesSettings(video=clip, max_frames=10, min_fps=5))
    result = Frames.load(folder)
    np.testing.assert_array_equal(result.source_index, np.arange(0, 20, 2))
    assert ["the last 2.0 s are left out" in warning for warning in summary["warnings"]] == [True]


def test_short_clips_are_not_thinned_below_what_is_needed() -> None:
    plan = make_plan(video_info(np.arange(12) / 60), FramesSettings(video="v.mp4", fps=15))
    assert len(plan.index) == 12


@pytest.mark.parametrize("rate", [30.02, 29.97, 30, 59.94, 60.1])
def test_measured_rates_count_as_their_nominal_ones(rate: float) -> None:
    plan = make_plan(video_info(np.arange(100) / rate), FramesSettings(video="v.mp4", fps=15))
    assert plan.fps == pytest.approx(15, rel=0.02)


def test_working_size_never_grows() -> None:
    assert working_size(640, 480, 720) == (640, 480)
    assert working_size(3840, 2160, 720) == (720, 405)
    assert working_size(2160, 3840, 720) == (405, 720)
    assert working_size(10000, 32, 720) == (720, 2)


def test_focal_length_prefers_the_user_then_metadata_then_the_guess() -> None:
    times = np.arange(9) / 10
    assert focal_length(video_info(times, 26.0), 500.0) == (500.0, "user")
    assert focal_length(video_info(times, math.hypot(36, 24)), None) == (pytest.approx(800.0), "metadata")
    guess, origin = focal_length(video_info(times), None)
    assert origin == "guess"
    assert math.degrees(2 * math.atan(400 / guess)) == pytest.approx(60)


@pytest.mark.parametrize("focal", [0.001, 1e9])
def test_a_focal_length_of_no_camera_is_refused(focal: float) -> None:
    with pytest.raises(InputError, match="focal length") as error:
        focal_length(video_info(np.arange(9) / 30), focal)
    assert "--focal from" in error.value.next_step


def test_intrinsics_project_the_same_point_into_both_sizes() -> None:
    point = np.array([0.3, -0.4, 2.0])
    source = intrinsics(900.0, (1280, 720), (1280, 720)) @ point
    scaled = intrinsics(900.0, (1280, 720), (427, 240)) @ point
    np.testing.assert_allclose(scaled[:2] / scaled[2], source[:2] / source[2] * [427 / 1280, 240 / 720])


def test_nearest() -> None:
    values = np.array([0.0, 1.0, 2.0, 4.0])
    np.testing.assert_array_equal(
        nearest(values, np.array([-1.0, 0.4, 0.6, 2.9, 3.2, 9.0])), [0, 0, 1, 2, 3, 3]
    )


# Bad input


def refuse(call_stage: CallStage, path: Path, *words: str, **settings: float) -> None:
    with pytest.raises(InputError) as caught:
        call_stage(STAGE, FramesSettings(video=path, **settings))
    assert str(path) in caught.value.problem
    for word in words:
        assert word in caught.value.problem
    assert caught.value.next_step


def test_missing_file(call_stage: CallStage, tmp_path: Path) -> None:
    refuse(call_stage, tmp_path / "nowhere.mp4", "does not exist")


def test_folder(call_stage: CallStage, tmp_path: Path) -> None:
    refuse(call_stage, tmp_path, "folder")


def test_empty_file(call_stage: CallStage, tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    refuse(call_stage, path, "empty")


def test_path_too_long(call_stage: CallStage) -> None:
    refuse(call_stage, Path("/tmp") / ("x" * 300 + ".mp4"), "cannot be read")


def test_text_called_a_video(call_stage: CallStage, tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("no video at all\n" * 100)
    refuse(call_stage, path, "not a video")


@pytest.mark.parametrize("name", ["sound.wav", "sound.mp3", "sound.m4a", "sound.ogg"])
def test_sound_file(make_clip: MakeClip, call_stage: CallStage, name: str) -> None:
    refuse(call_stage, make_clip(name, source="sine=duration=1"), "no moving pictures")


def test_sound_file_with_a_cover(make_clip: MakeClip, call_stage: CallStage) -> None:
    cover = make_clip("cover.png", "-frames:v", "1")
    song = make_clip(
        "song.mp3", "-i", f"file:{cover}", "-map", "0", "-map", "1", "-c:v", "copy",
        "-disposition:v", "attached_pic", source="sine=duration=1",
    )  # fmt: skip
    refuse(call_stage, song, "no moving pictures")


def test_picture_is_not_a_video(make_clip: MakeClip, call_stage: CallStage) -> None:
    refuse(call_stage, make_clip("one.png", "-frames:v", "1"), "not a video")


def test_playlist_is_not_followed(make_clip: MakeClip, call_stage: CallStage, tmp_path: Path) -> None:
    make_clip("real.ts")
    playlist = tmp_path / "list.mp4"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nreal.ts\n#EXT-X-ENDLIST\n")
    refuse(call_stage, playlist, "not a video")


def test_single_picture(make_clip: MakeClip, call_stage: CallStage) -> None:
    refuse(call_stage, make_clip("one.mp4", "-frames:v", "1"), "1 picture", "at least 8")


def test_part_outside_the_clip(make_clip: MakeClip, call_stage: CallStage) -> None:
    refuse(call_stage, make_clip("clip.mp4"), "0 pictures between 5 and 9 s", start=5.0, end=9.0)


def test_tiny_picture(make_clip: MakeClip, call_stage: CallStage) -> None:
    refuse(call_stage, make_clip("tiny.mp4", source="testsrc=size=16x16:rate=10:duration=2"), "too few")


def test_huge_picture(make_clip: MakeClip, call_stage: CallStage, tmp_path: Path) -> None:
    path = make_clip("clip.avi", "-c:v", "rawvideo", "-pix_fmt", "bgr24")
    data = bytearray(path.read_bytes())
    header = data.index(b"strf") + 8  # a BITMAPINFOHEADER: size, width, height
    data[header + 4 : header + 12] = (12000).to_bytes(4, "little") * 2
    path.write_bytes(data)
    refuse(call_stage, path, "too many")


def test_damaged_header(make_clip: MakeClip, call_stage: CallStage) -> None:
    path = make_clip("clip.mp4")
    data = bytearray(path.read_bytes())
    data[data.index(b"moov") :] = b"\xff" * (len(data) - data.index(b"moov"))
    path.write_bytes(data)
    refuse(call_stage, path)


def test_damaged_pictures(make_clip: MakeClip, call_stage: CallStage) -> None:
    path = make_clip("clip.mp4", "-movflags", "+faststart", source="testsrc=size=96x64:rate=10:duration=2")
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    path.write_bytes(data)
    refuse(call_stage, path, "decoded")


def test_index_lost_with_the_cut_end(make_clip: MakeClip, call_stage: CallStage) -> None:
    path = make_clip("clip.mp4")
    path.write_bytes(path.read_bytes()[:-2000])
    refuse(call_stage, path, "not a video that can be read")


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv"])
def test_what_is_left_of_a_cut_file_is_used(make_clip: MakeClip, call_stage: CallStage, name: str) -> None:
    options = ("-c:v", "mjpeg", "-q:v", "2", *(("-movflags", "+faststart") if name.endswith("mp4") else ()))
    path = make_clip(name, *options, source="testsrc=size=192x128:rate=10:duration=4")
    data = path.read_bytes()
    path.write_bytes(data[: int(0.6 * len(data))])
    summary, folder = call_stage(STAGE, FramesSettings(video=path))
    assert 20 <= len(Frames.load(folder)) <= 26
    assert any("damaged" in warning for warning in summary["warnings"])


def test_cut_to_almost_nothing(make_clip: MakeClip, call_stage: CallStage) -> None:
    path = make_clip(
        "cut.mkv", "-c:v", "mjpeg", "-q:v", "2", source="testsrc=size=192x128:rate=10:duration=4"
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 10])
    refuse(call_stage, path, "at least 8")


def test_full_disk(make_clip: MakeClip, call_stage: CallStage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, image: NDArray[np.uint8]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    clip = make_clip("clip.mp4")
    monkeypatch.setattr(frames, "write_image", full)
    with pytest.raises(StageError, match="No room left"):
        call_stage(STAGE, FramesSettings(video=clip))


@pytest.mark.parametrize(
    "wrong",
    [
        {"fps": 0},
        {"max_frames": 1},
        {"focal": -1},
        {"focal": math.inf},
        {"start": math.inf},
        {"end": math.nan},
        {"start": -2},
        {"fsp": 3},
    ],
)
def test_unusable_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        FramesSettings(video="clip.mp4", **wrong)
