"""The command `view` on a small finished workspace."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from models.avatar import Avatar
from models.errors import InputError
from pipeline import viewing
from pipeline.__main__ import main
from pipeline.workspace import Workspace
from stages.export.clip import Clip
from tests.pipeline.finished import finished_workspace
from tests.stages.export.conftest import (  # noqa: F401
    FRAMES,
    UNSEEN,
    Inputs,
    avatar,
    body,
    clip,
    history,
    inputs,
    motion,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from pipeline.scenes import ClipScene

viser = pytest.importorskip("viser")
SOON = 20.0


@pytest.fixture
def workspace(inputs: Inputs, tmp_path: Path) -> Workspace:  # noqa: F811
    return finished_workspace(Workspace(tmp_path / "clip.hsplat"), inputs, viewing.NEEDS)


@pytest.fixture
def server() -> Iterator[Any]:
    started = viewing.listen("127.0.0.1", 0, "test")
    yield started
    started.stop()


@pytest.fixture
def scene(server: Any, clip: Clip, history: dict) -> Iterator["ClipScene"]:  # noqa: F811
    from pipeline.scenes import ClipScene

    shown = ClipScene(server, clip, history)
    yield shown
    shown.close()


def test_the_page_is_served_on_this_machine_only(server: Any) -> None:
    assert server.get_host() == "127.0.0.1"
    with urllib.request.urlopen(f"http://127.0.0.1:{server.get_port()}/", timeout=SOON) as answer:
        assert answer.status == 200
        assert b"<html" in answer.read()


def test_a_finished_workspace_is_shown(server: Any, workspace: Workspace) -> None:
    scene = viewing.scene_of(workspace.folder)(server)
    assert scene.frame == 0
    assert len(scene.splats.handle.centers) == len(scene.clip.avatar)
    scene.close()


@pytest.mark.parametrize("what", ["workspace", "avatar"])
def test_what_a_page_needs_is_there_at_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The first posing, which compiles, is over before anybody can connect; the camera comes first."""
    happened: list[str] = []
    pose, listen = Avatar.pose, viewing.listen

    def posed(*arguments: Any) -> Any:
        happened.append("posed")
        return pose(*arguments)

    def listening(*arguments: Any) -> Any:
        happened.append("listening")
        server = listen(*arguments)
        splats, frustum = server.scene.add_gaussian_splats, server.scene.add_camera_frustum

        def adding(add: Callable[..., Any]) -> Callable[..., Any]:
            def added(*given: Any, **options: Any) -> Any:
                happened.append(f"view of {np.degrees(server.initial_camera.fov):.0f} degrees")
                return add(*given, **options)

            return added

        monkeypatch.setattr(server.scene, "add_gaussian_splats", adding(splats))
        monkeypatch.setattr(server.scene, "add_camera_frustum", adding(frustum))
        return server

    monkeypatch.setattr(Avatar, "pose", posed)
    monkeypatch.setattr(viewing, "listen", listening)
    source = workspace.folder if what == "workspace" else workspace.stage_folder("optimize") / "avatar.npz"

    def end(_: str) -> None:
        raise InputError("seen")

    with pytest.raises(InputError, match="seen"):
        viewing.view(source, "127.0.0.1", 0, end)
    assert happened[:2] == ["posed", "listening"]
    assert set(happened[2:]) == {"posed", "view of 50 degrees"}


def test_stepping_moves_avatar_body_and_pictures(scene: "ClipScene", clip: Clip) -> None:  # noqa: F811
    scene.show_body.value = True
    before = scene.splats.handle.centers.copy(), scene.body.vertices.copy(), scene.camera.image.copy()
    scene.frame = 5
    scene.show()
    after = scene.splats.handle.centers, scene.body.vertices, scene.camera.image
    assert all(not np.array_equal(first, second) for first, second in zip(before, after, strict=True))
    assert np.median(after[0], axis=0) == pytest.approx(np.median(after[1], axis=0), abs=0.1)
    assert after[1] == pytest.approx(clip.body_vertices(clip.refined, 5))
    assert (after[2] == clip.frames.image(5)).all()


def test_the_initial_motion_can_be_seen(scene: "ClipScene") -> None:
    refined = scene.splats.handle.centers.copy()
    scene.motion.value = "as first estimated"
    scene.show()
    aside = scene.splats.handle.centers - refined
    assert aside[:, 0].mean() == pytest.approx(0.15, abs=0.05)


def test_things_are_hidden_and_shown(scene: "ClipScene") -> None:
    shown = (
        (scene.show_avatar, scene.splats.handle),
        (scene.show_body, scene.body),
        (scene.show_video, scene.video),
        (scene.show_camera, scene.camera),
    )
    for control, thing in shown:
        for state in (False, True):
            control.value = state
            scene.show()
            assert thing.visible is state


def test_the_video_lies_where_the_camera_sees_it(scene: "ClipScene", clip: Clip) -> None:  # noqa: F811
    """Its corners, seen from the origin, are those of the picture."""
    x, y, depth = scene.video.position
    half = np.array([scene.video.render_width, scene.video.render_height]) / 2
    for corner, pixel in ((-half, (0, 0)), (half, (clip.frames.width, clip.frames.height))):
        seen = clip.K @ [x + corner[0], y + corner[1], depth]
        assert seen[:2] / seen[2] == pytest.approx(pixel, abs=1e-3)
    assert depth > clip.pelvis(0)[2]


def test_frames_without_the_person_are_told(scene: "ClipScene") -> None:
    assert "not seen" not in scene.told.content
    scene.frame = UNSEEN
    scene.show()
    assert "not seen" in scene.told.content


def test_playing_goes_on_by_itself_and_around(scene: "ClipScene") -> None:
    scene.frame = FRAMES - 1
    scene.playing.value = True
    deadline = time.monotonic() + SOON
    while scene.frame == FRAMES - 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert scene.frame < FRAMES - 1


def test_losses_are_plotted(scene: "ClipScene", history: dict) -> None:  # noqa: F811
    steps, values = scene.losses.data
    assert steps.tolist() == [10, 20, 30, 40, 50, 60]
    assert 10**values == pytest.approx([record["total"] for record in history["losses"]])


def test_a_clip_without_anybody_is_shown(server: Any, clip: Clip, history: dict) -> None:  # noqa: F811
    from pipeline.scenes import ClipScene

    nobody = replace(clip, refined=replace(clip.refined, valid=np.zeros(FRAMES, bool)))
    scene = ClipScene(server, nobody, {"losses": []})
    assert "not seen" in scene.told.content
    scene.close()


def test_an_avatar_alone_takes_poses(server: Any, avatar: Avatar, tmp_path: Path) -> None:  # noqa: F811
    avatar.save(tmp_path / "avatar.npz")
    scene = viewing.scene_of(tmp_path / "avatar.npz")(server)
    lowered = np.ptp(scene.splats.handle.centers[:, 0])
    scene.pose.value = "T-pose"
    scene.show()
    assert np.ptp(scene.splats.handle.centers[:, 0]) > 1.2 * lowered
    scene.close()


def test_a_taken_port_is_passed_over_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"127\.0\.0\.1:{port} cannot be used"):
            viewing.listen("127.0.0.1", port, "test")
        monkeypatch.setattr(viewing, "PORT", port)
        server = viewing.listen("127.0.0.1", None, "test")
        assert server.get_port() > port
        server.stop()


@pytest.mark.parametrize("host", ["198.51.100.7", "no such host"])
def test_an_address_of_nobody_is_refused(host: str) -> None:
    with pytest.raises(InputError, match=host):
        viewing.listen(host, None, "test")


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["hsplat-pipeline", "view", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0)

    return run


def test_what_cannot_be_shown_ends_with_2(
    call: Callable[..., int], workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace.stage_folder("optimize") / "manifest.json").unlink()
    assert call(workspace.folder) == 2
    assert "has not finished: optimize is missing" in " ".join(capsys.readouterr().err.split())
    assert call("nothing.npz") == 2
    assert "does not exist" in " ".join(capsys.readouterr().err.split())
    Path("text.npz").write_text("no avatar")
    assert call("text.npz") == 2
    assert "text.npz" in capsys.readouterr().err
    np.save("single.npy", np.zeros(3))
    assert call("single.npy") == 2
    assert "single.npy is not an avatar file" in " ".join(capsys.readouterr().err.split())
    assert call(".") == 2
    assert "is not a workspace" in capsys.readouterr().err


def test_a_slip_is_told_before_anything_large_is_imported(tmp_path: Path) -> None:
    np.save(tmp_path / "single.npy", np.zeros(3))
    program = (
        "import sys, pathlib\n"
        "from models.errors import InputError\n"
        "from pipeline.viewing import scene_of\n"
        "try:\n    scene_of(pathlib.Path(sys.argv[1]))\n"
        "except InputError:\n    sys.exit('torch' in sys.modules)\n"
    )
    for name in ("single.npy", "absent.npz", "."):
        assert subprocess.run([sys.executable, "-c", program, tmp_path / name]).returncode == 0


def test_ctrl_c_ends_it_quietly(workspace: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    told = []

    def interrupt_soon(words: str) -> None:
        told.append(words)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    viewing.view(workspace.folder, "127.0.0.1", 0, interrupt_soon)
    assert told[0].startswith("Open http://127.0.0.1:")
    port = int(told[0].split(":")[2].split()[0])
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=SOON)
    assert capfd.readouterr() == ("", "")


def test_it_is_drawn_in_a_browser(scene: "ClipScene", server: Any, browser: "Browser") -> None:
    """The person, red above and blue below, over the green of the video."""
    page = browser.new_page(viewport={"width": 500, "height": 400})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"http://127.0.0.1:{server.get_port()}")
    scene.show_camera.value = scene.show_video.value = False
    red = blue = 0
    deadline = time.monotonic() + 60
    while min(red, blue) < 200 and time.monotonic() < deadline:
        shot = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR).astype(int)
        b, g, r = (shot[..., channel] for channel in range(3))
        red = int(((r - b > 60) & (r - g > 60)).sum())
        blue = int(((b - r > 60) & (b - g > 30)).sum())
    page.close()
    assert min(red, blue) >= 200
    assert all(f"127.0.0.1:{server.get_port()}" in url for url in asked if url.startswith("http"))
