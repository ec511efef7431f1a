"""viewer.html in Chromium: opened from the disk, looked at, and handled as a person would."""

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.body import Motion, retarget
from models.cameras import Camera
from models.metrics import iou, psnr
from stages.export.clip import Clip, render_avatar
from stages.export.viewer import write_viewer
from stages.frames import Frames
from tests.browser import OpenPage, overflow, wait_until
from tests.stages.export.conftest import FRAMES, UNSEEN

if TYPE_CHECKING:
    from playwright.sync_api import Page

Array = NDArray[np.floating]

# Gaussians are quantised, four joints move them instead of six, and every blending is rounded to 8 bits.
LEAST_PSNR, LEAST_IOU = 40.0, 0.99
PHONES = [(320, 568, "light"), (390, 844, "dark"), (844, 390, "dark")]


@pytest.fixture
def opened(open_page: OpenPage, viewer_file: Path) -> Callable[..., "Page"]:
    """`opened(...)` gives the page once it has drawn; the arguments are those of `open_page`."""

    def show(path: Path = viewer_file, **options: Any) -> "Page":
        page = open_page(path, **{"viewport": {"width": 500, "height": 500}, **options})
        wait_until(page, "globalThis.viewer?.openedAfter > 0")
        return page

    return show


def picture(page: "Page") -> tuple[Array, Array]:
    """The canvas as it is: colour (H, W, 3) premultiplied, and alpha (H, W)."""
    address = page.evaluate("viewer.picture()")
    data = np.frombuffer(base64.b64decode(address.split(",")[1]), np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    alpha = pixels[..., 3] / 255
    return pixels[..., 2::-1] / 255 * alpha[..., None], alpha


def rendered(page: "Page", clip: Clip, motion: Motion, frame: int) -> tuple[Array, Array]:
    """The same by our own renderer, for the camera that the page has."""
    seen = page.evaluate("viewer.camera()")
    camera = Camera(seen["K"], seen["width"], seen["height"], seen["T_cam_world"])
    return render_avatar(clip.avatar, motion.poses[frame], clip.avatar.trans_for(motion)[frame], camera)


def agreement(ours: tuple[Array, Array], theirs: tuple[Array, Array]) -> tuple[float, float]:
    """PSNR over white of the person's box, and IoU of the alphas."""
    rows, columns = (np.flatnonzero((theirs[1] > 0.02).any(axis=axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    over_white = [(color + (1 - alpha[..., None]))[box] for color, alpha in (ours, theirs)]
    return psnr(*over_white), iou(ours[1], theirs[1])


def tree(page: "Page") -> Any:
    """What a person could have changed."""
    return page.evaluate("({...viewer.shown, frame: viewer.player.frame, free: viewer.view.free})")


def position(page: "Page") -> Array:
    return np.array(page.evaluate("viewer.view.camera.position.toArray()"))


def without_inertia(page: "Page") -> "Page":
    """The page with a camera that stands still as soon as a hand lets it go."""
    page.evaluate("viewer.view.controls.enableDamping = false")
    return page


def test_it_opens_from_the_disk_and_shows_the_person(
    opened: Callable[..., "Page"], complaints: list[str]
) -> None:
    page = opened()
    assert page.title() == "my clip.mp4 · hsplat-pipeline"
    assert page.locator("h1").inner_text() == "my clip.mp4"
    assert page.locator("#message").is_hidden()
    page.evaluate("viewer.show({ floor: false })")
    assert 0.02 < picture(page)[1].mean() < 0.5
    assert not complaints


@pytest.mark.parametrize("pose", ["refined", "initial"])
def test_pictures_agree_with_our_renderer_from_every_side(
    opened: Callable[..., "Page"], lively: Clip, pose: str
) -> None:
    page = opened()
    page.evaluate(f"viewer.show({{ floor: false, motion: '{pose}' }})")
    for frame in (0, FRAMES - 1):
        page.evaluate(f"viewer.view.toClip(); viewer.seek({frame}); viewer.draw()")
        for side in ("toClip()", "toSide(Math.PI / 2)", "toSide(Math.PI)", "toSide(-2)"):
            page.evaluate(f"viewer.view.{side}")
            found = agreement(picture(page), rendered(page, lively, getattr(lively, pose), frame))
            assert found[0] > LEAST_PSNR, (frame, side)
            assert found[1] > LEAST_IOU, (frame, side)


def test_the_comparison_notices_a_wrong_order(opened: Callable[..., "Page"], lively: Clip) -> None:
    page = opened()
    page.evaluate(
        "viewer.show({ floor: false }); const sort = viewer.splats.sorter.sort.bind(viewer.splats.sorter);"
        "viewer.splats.sorter.sort = (joints, [x, y, z], order) => sort(joints, [-x, -y, -z], order); null"
    )
    assert agreement(picture(page), rendered(page, lively, lively.refined, 0))[0] < LEAST_PSNR - 10


def test_the_clips_camera_is_the_clips(opened: Callable[..., "Page"], lively: Clip) -> None:
    """At the origin, and with the intrinsics of the picture that it shows a window of."""
    camera = opened().evaluate("viewer.camera()")
    assert np.array(camera["T_cam_world"]) == pytest.approx(np.eye(4), abs=1e-12)
    (fx, skew, _), (_, fy, _), last = camera["K"]
    assert (skew, last) == (0, [0, 0, 1])
    assert fx / fy == pytest.approx(lively.K[0, 0] / lively.K[1, 1])
    assert fx > lively.K[0, 0]  # the person is enlarged


def test_playing_goes_on_and_stops(opened: Callable[..., "Page"]) -> None:
    page = opened()
    page.evaluate("viewer.show({ floor: false })")
    before = picture(page)[0]
    page.get_by_role("button", name="Play", exact=True).click()
    wait_until(page, "viewer.player.frame >= 3")
    page.get_by_role("button", name="Pause", exact=True).click()
    stopped = tree(page)["frame"]
    assert np.abs(picture(page)[0] - before).max() > 0.2
    page.wait_for_timeout(300)
    assert tree(page)["frame"] == stopped
    wait_until(page, f"document.getElementById('now').textContent.startsWith('{stopped} / {FRAMES - 1} ')")


def test_at_the_end_it_begins_anew(opened: Callable[..., "Page"]) -> None:
    page = opened()
    found = page.evaluate(
        f"viewer.seek({FRAMES - 1}); viewer.player.play(true); viewer.player.advance(1.5 / viewer.clip.fps);"
        "[viewer.player.frame, viewer.player.time]"
    )
    assert found[0] == 0
    assert found[1] == pytest.approx(0.5)


def test_the_time_line_is_a_slider(opened: Callable[..., "Page"]) -> None:
    page = opened()
    page.locator("#time").fill("5")
    assert tree(page)["frame"] == 5
    page.locator("#time").press("ArrowRight")
    assert tree(page)["frame"] == 6
    page.locator("#time").press("Home")
    assert tree(page)["frame"] == 0


def test_every_key_does_what_the_help_says(opened: Callable[..., "Page"]) -> None:
    page = opened()
    for key, name in {"v": "video", "b": "body", "f": "floor"}.items():
        before = tree(page)[name]
        page.keyboard.press(key)
        assert tree(page)[name] is not before
        page.keyboard.press(key)
    page.keyboard.press("p")
    assert tree(page)["motion"] == "initial"
    for key, frame in {".": 1, "End": FRAMES - 1, ",": FRAMES - 2, "Home": 0}.items():
        page.keyboard.press(key)
        assert tree(page)["frame"] == frame
    page.keyboard.press(" ")
    wait_until(page, "viewer.player.playing && viewer.player.frame > 0")
    page.keyboard.press(" ")
    assert not page.evaluate("viewer.player.playing")
    for key, speed in {">": 2, "<": 1}.items():
        page.keyboard.press(key)
        assert page.evaluate("viewer.player.speed") == speed
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").is_hidden()


def test_keys_turn_the_camera_about_the_person(opened: Callable[..., "Page"]) -> None:
    page = without_inertia(opened())
    pelvis = np.array(page.evaluate("viewer.view.pelvis.toArray()"))
    page.keyboard.press("2")
    right = position(page)
    assert right[0] > 1  # of the clip's camera, where the left of one who faces it is seen
    page.keyboard.press("3")
    up = np.array(page.evaluate("viewer.clip.up"))
    assert position(page) - pelvis == pytest.approx(1.2 * (pelvis - 2 * (pelvis @ up) * up), abs=1e-5)
    page.keyboard.press("2")
    for key, sign in {"ArrowRight": 1, "ArrowLeft": -1}.items():
        page.keyboard.press(key)
        moved = position(page)
        assert (moved - right)[2] * sign > 0.05
        right = moved
    page.keyboard.press("+")
    assert np.linalg.norm(position(page) - pelvis) < 0.95 * np.linalg.norm(right - pelvis)
    page.keyboard.press("c")
    assert not tree(page)["free"]
    assert not position(page).any()


def test_buttons_show_what_is_on(opened: Callable[..., "Page"]) -> None:
    page = opened()
    for name, key, value in (
        ("Initial pose", "motion", "initial"),
        ("Refined", "motion", "refined"),
        ("Body", "body", True),
        ("Floor", "floor", False),
        ("Video", "video", True),
    ):
        button = page.get_by_role("button", name=name, exact=True)
        button.click()
        assert tree(page)[key] == value
        pressed = "true" if value else "false"
        wait_until(page, f"{button.get_attribute('id')}.ariaPressed === '{pressed}'")
    page.get_by_label("Speed").select_option("0.25")
    assert page.evaluate("viewer.player.speed") == 0.25


def test_the_mouse_turns_shifts_and_comes_nearer(opened: Callable[..., "Page"]) -> None:
    page = without_inertia(opened())
    middle = page.locator("canvas").bounding_box()
    assert middle
    x, y = middle["x"] + middle["width"] / 2, middle["y"] + middle["height"] / 2
    page.mouse.click(x, y)
    assert not tree(page)["free"]  # a click alone moves nothing
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 80, y, steps=4)
    page.mouse.up()
    turned = position(page)
    assert tree(page)["free"]
    assert turned[0] > 0.3  # what one drags goes along, so the camera goes the other way
    page.mouse.wheel(0, -300)
    pelvis = np.array(page.evaluate("viewer.view.pelvis.toArray()"))
    assert np.linalg.norm(position(page) - pelvis) < 0.95 * np.linalg.norm(turned - pelvis)
    target = np.array(page.evaluate("viewer.view.controls.target.toArray()"))
    assert target == pytest.approx(pelvis, abs=1e-6)
    page.mouse.move(x, y)
    page.mouse.down(button="right")
    page.mouse.move(x, y + 60, steps=4)
    page.mouse.up(button="right")
    shifted = np.array(page.evaluate("viewer.view.controls.target.toArray()")) - target
    assert shifted[1] < -0.1  # the picture goes down, so the camera goes up
    page.get_by_role("button", name="Clip's camera").click()
    assert not tree(page)["free"]


def test_fingers_turn_and_pinch(opened: Callable[..., "Page"]) -> None:
    page = without_inertia(opened(viewport={"width": 390, "height": 600}, has_touch=True, is_mobile=True))
    fingers = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        given = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": given})

    touch("touchStart", (200, 300))
    for step in range(1, 5):
        touch("touchMove", (200 + 20 * step, 300))
    touch("touchEnd")
    turned = position(page)
    assert turned[0] < -0.3
    touch("touchStart", (150, 300), (250, 300))
    for step in range(1, 5):
        touch("touchMove", (150 - 15 * step, 300), (250 + 15 * step, 300))
    touch("touchEnd")
    pelvis = np.array(page.evaluate("viewer.view.pelvis.toArray()"))
    assert np.linalg.norm(position(page) - pelvis) < 0.8 * np.linalg.norm(turned - pelvis)
    page.get_by_role("button", name="Body", exact=True).tap()
    assert tree(page)["body"]


def test_the_camera_stays_with_a_person_who_walked_on(opened: Callable[..., "Page"]) -> None:
    """A drag after the person has moved turns about where they are now, and the picture does not jump."""
    page = opened()
    before, after = page.evaluate(
        """(() => {
          const drawn = () => (viewer.draw(), viewer.view.camera.matrixWorld.toArray());
          viewer.view.toSide(0.4);
          viewer.draw();
          viewer.clip.motions.refined[3] += 1; // the pelvis, a metre to the right
          const before = drawn();
          viewer.view.controls.dispatchEvent({ type: 'start' });
          return [before, drawn()];
        })()"""
    )
    assert after == pytest.approx(before, abs=1e-6)
    assert page.evaluate("viewer.view.controls.target.distanceTo(viewer.view.pelvis)") < 1e-6
    page.evaluate("viewer.draw(10)")
    camera = page.evaluate("viewer.camera()")
    assert camera["K"][0][2] == camera["width"] / 2
    towards = np.array(page.evaluate("viewer.view.camera.direction()"))
    wanted = np.array(page.evaluate("viewer.view.pelvis.toArray()")) - position(page)
    assert towards == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-3)


def test_the_video_lies_behind_the_person_where_it_was_filmed(
    opened: Callable[..., "Page"], lively: Clip
) -> None:
    page = opened()
    page.evaluate("viewer.splats.object.visible = false; viewer.show({ video: true }); viewer.seek(3)")
    wait_until(page, "viewer.backdrop.shown === 3")
    color, alpha = picture(page)
    camera = page.evaluate("viewer.camera()")
    K = np.array(camera["K"])
    scale = K[0, 0] / lively.K[0, 0]
    shift = K[:2, 2] - scale * lively.K[:2, 2]
    size = camera["width"], camera["height"]
    there = np.array([[scale, 0, shift[0] + 0.5 * scale - 0.5], [0, scale, shift[1] + 0.5 * scale - 0.5]])
    expected = cv2.warpAffine(lively.frames.image(3) / 255.0, there, size)
    inside = cv2.warpAffine(np.ones((lively.frames.height, lively.frames.width)), there, size) == 1
    assert 0.1 < inside.mean() < 1
    assert alpha[inside].min() == 1
    assert np.abs(color - expected)[inside].mean() < 0.03
    page.evaluate("viewer.view.toSide(Math.PI)")
    assert not picture(page)[1].any()  # from behind it hides nobody


def test_the_body_lies_over_the_person(opened: Callable[..., "Page"], lively: Clip) -> None:
    page = opened()
    page.evaluate("viewer.show({ body: true, floor: false }); viewer.seek(5)")
    page.evaluate("viewer.splats.object.visible = false")
    drawn = picture(page)[1]
    assert set(np.unique(drawn.round(1))) == {0, 0.6}
    camera = page.evaluate("viewer.camera()")
    frames = replace(lively.frames, width=camera["width"], height=camera["height"])
    other = replace(lively.refined, K=np.array(camera["K"]), width=camera["width"], height=camera["height"])
    expected = replace(lively, frames=frames).body_region(other, 5)
    wider, narrower = (change(expected, np.ones((3, 3))) > 127 for change in (cv2.dilate, cv2.erode))
    assert (drawn > 0)[narrower].mean() > 0.99
    assert (drawn > 0)[~wider].mean() < 0.001


def test_frames_without_the_person_are_marked(opened: Callable[..., "Page"]) -> None:
    page = opened()
    told = page.get_by_text("this pose is interpolated")
    assert told.is_hidden()
    page.evaluate(f"viewer.seek({UNSEEN})")
    told.wait_for(state="visible")
    page.evaluate("viewer.seek(0)")
    told.wait_for(state="hidden")
    (style,) = [mark.get_attribute("style") for mark in page.locator("#unseen i").all()]
    assert style == f"left: {100 * UNSEEN / FRAMES:g}%; width: {100 / FRAMES:g}%;"


@pytest.mark.parametrize(("width", "height", "scheme"), PHONES)
def test_it_fits_a_phone(
    opened: Callable[..., "Page"], complaints: list[str], width: int, height: int, scheme: str
) -> None:
    page = opened(
        viewport={"width": width, "height": height},
        has_touch=True,
        is_mobile=True,
        device_scale_factor=2,
        color_scheme=scheme,
    )
    assert overflow(page) == 0
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    for element in page.locator("footer button, footer select, #time").all():
        box = element.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= height
        assert box["height"] >= 30  # for a finger
    canvas = page.locator("canvas").bounding_box()
    assert canvas
    assert canvas["height"] > 0.5 * height
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper[4:-1].split(","))) > 380) == (scheme == "light")
    assert not complaints


def test_at_rest_every_pixel_is_drawn_however_slow_the_machine(opened: Callable[..., "Page"]) -> None:
    page = opened()
    at_rest = page.evaluate("viewer.draw(); viewer.canvas.width")
    page.evaluate("for (let i = 0; i < 60; i++) viewer.resolution.note(1)")
    coarse = page.evaluate("viewer.draw(0, true); viewer.canvas.width")
    assert coarse < 0.5 * at_rest
    assert page.evaluate("viewer.draw(); viewer.canvas.width") == at_rest
    page.evaluate("for (let i = 0; i < 5; i++) viewer.resolution.rest()")
    assert page.evaluate("viewer.draw(0, true); viewer.canvas.width") == at_rest


def test_a_clip_of_one_frame(
    opened: Callable[..., "Page"], lively: Clip, tmp_path: Path, complaints: list[str]
) -> None:
    write_viewer(tmp_path / "one.html", first_frames(lively, 1), "one", 128)
    page = opened(tmp_path / "one.html")
    assert page.get_by_role("button", name="Play", exact=True).is_disabled()
    page.keyboard.press(" ")
    page.keyboard.press(".")
    page.keyboard.press("v")
    wait_until(page, "viewer.backdrop.shown === 0")
    assert tree(page)["frame"] == 0
    assert not complaints


def test_a_long_clip_stays_small_and_decodes_as_it_goes(
    opened: Callable[..., "Page"], lively: Clip, tmp_path: Path, complaints: list[str]
) -> None:
    write_viewer(tmp_path / "long.html", repeated(lively, 40), "long", 128)
    assert (tmp_path / "long.html").stat().st_size < 20e6
    page = opened(tmp_path / "long.html")
    page.keyboard.press("v")
    for frame in (319, 0, 160):
        page.evaluate(f"viewer.seek({frame})")
        wait_until(page, f"viewer.backdrop.shown === {frame}")
    assert page.evaluate("viewer.backdrop.decoded.size") <= 24
    assert not complaints


def test_an_avatar_without_gaussians_is_told(open_page: OpenPage, lively: Clip, tmp_path: Path) -> None:
    means = torch.full_like(lively.avatar.means, float("nan"))
    empty = replace(lively, avatar=replace(lively.avatar, means=means))
    write_viewer(tmp_path / "none.html", empty, "none", 0)
    page = open_page(tmp_path / "none.html")
    assert page.get_by_text("holds no Gaussians").is_visible()


def test_gaussians_without_numbers_harm_nobody(
    opened: Callable[..., "Page"], lively: Clip, tmp_path: Path
) -> None:
    means = lively.avatar.means.clone()
    means[::7] = float("nan")
    damaged = replace(lively, avatar=replace(lively.avatar, means=means))
    write_viewer(tmp_path / "some.html", damaged, "some", 0)
    page = opened(tmp_path / "some.html")
    page.evaluate("viewer.show({ floor: false })")
    found = agreement(picture(page), rendered(page, damaged, damaged.refined, 0))
    assert found[0] > LEAST_PSNR


def test_without_pictures_there_is_no_video(
    opened: Callable[..., "Page"], lively: Clip, tmp_path: Path
) -> None:
    write_viewer(tmp_path / "bare.html", lively, "bare", 0)
    page = opened(tmp_path / "bare.html")
    assert page.get_by_role("button", name="Video").is_disabled()
    page.keyboard.press("v")
    assert tree(page)["video"] is False


def test_a_browser_without_webgl_is_told(open_page: OpenPage, viewer_file: Path, tmp_path: Path) -> None:
    (tmp_path / "old.html").write_text(
        viewer_file.read_text(encoding="utf-8").replace(
            "<body>", "<body><script>HTMLCanvasElement.prototype.getContext = () => null</script>", 1
        ),
        encoding="utf-8",
    )
    assert open_page(tmp_path / "old.html").get_by_text("needs WebGL 2").is_visible()


def test_hostile_names_do_nothing(open_page: OpenPage, lively: Clip, tmp_path: Path) -> None:
    name = "</title><script>document.body.remove()</script><img src=x onerror='document.body.remove()'>"
    write_viewer(tmp_path / "viewer.html", lively, name, 0)
    page = open_page(tmp_path / "viewer.html")
    assert page.locator("h1").inner_text() == name
    assert page.locator("img").count() == 0


def first_frames(clip: Clip, count: int) -> Clip:
    """The clip's beginning."""
    return taken(clip, np.arange(count))


def repeated(clip: Clip, times: int) -> Clip:
    """The clip again and again."""
    return taken(clip, np.tile(np.arange(FRAMES), times))


def taken(clip: Clip, indices: NDArray[np.int64]) -> Clip:
    """A clip of these frames, in this order."""

    def motion(whole: Motion) -> Motion:
        parts = {name: getattr(whole, name)[indices] for name in ("poses", "trans", "valid", "joints")}
        return retarget(replace(whole, frame=np.arange(len(indices)), **parts), clip.body)

    class Taken(Frames):
        def image(self, index: int) -> NDArray[np.uint8]:
            return clip.frames.image(int(indices[index]))

    frames = Taken(**{**vars(clip.frames), "times": np.arange(len(indices)) / clip.frames.fps})

    class TakenClip(Clip):
        def mask(self, index: int) -> NDArray[np.uint8]:
            return clip.mask(int(indices[index]))

    given = {**vars(clip), "frames": frames, "refined": motion(clip.refined), "initial": motion(clip.initial)}
    return TakenClip(**{name: given[name] for name in Clip.__dataclass_fields__})
