"""A workspace from somebody else leads nowhere: nothing is written, removed or read through its links."""

import os
from pathlib import Path

import pytest

from models.errors import InputError
from pipeline.batch import failures
from pipeline.finished import finished
from pipeline.workspace import Damaged, Output, Workspace
from tests.pipeline.test_workspace import publish, workspace  # noqa: F401

OURS = (
    "workspace.json", ".workspace.json.partial", "lock", "hashes.json", "logs", ".trial", "masks",
    "masks/manifest.json", "masks/deep", "masks/deep/file", ".masks.partial", ".masks.old", ".masks.scratch",
    ".masks.scratch/ffffffffffffffff", "thumbnail.jpg", "evaluate.json",
)  # fmt: skip


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of somebody else's, which must stay as it is."""
    folder = tmp_path / "outside"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("one")
    (folder / "0.log").write_text("mine")
    return folder


def held(folder: Path) -> dict[str, str]:
    return {str(path): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("to", ["folder", "file", "nothing"])
@pytest.mark.parametrize("name", OURS)
def test_a_link_in_the_place_of_anything_is_refused(
    workspace: Workspace,  # noqa: F811
    outside: Path,
    tmp_path: Path,
    name: str,
    to: str,
) -> None:
    (tmp_path / "clip.mp4").write_text("a video")
    workspace.save_record(tmp_path / "clip.mp4", {})
    publish(workspace, "one")
    before = held(outside)
    link = workspace.folder / name
    if os.path.lexists(link):
        link.rename(tmp_path / "aside")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to({"folder": outside, "file": outside / "0.log", "nothing": tmp_path / "new"}[to])
    with pytest.raises(InputError, match="symbolic link"), workspace.open_for(tmp_path / "clip.mp4"):
        pass
    with pytest.raises(InputError, match="symbolic link"):
        finished(workspace, ("masks",))
    assert held(outside) == before
    assert not (tmp_path / "new").exists()


def test_a_workspace_may_itself_be_reached_by_a_link(
    workspace: Workspace,  # noqa: F811
    tmp_path: Path,
) -> None:
    (tmp_path / "clip.mp4").write_text("a video")
    workspace.save_record(tmp_path / "clip.mp4", {})
    (tmp_path / "link.hsplat").symlink_to(workspace.folder)
    with Workspace(tmp_path / "link.hsplat").open_for(tmp_path / "clip.mp4"):
        pass


def test_a_pipe_in_a_workspace_does_not_block(workspace: Workspace, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "clip.mp4").write_text("a video")
    workspace.save_record(tmp_path / "clip.mp4", {})
    workspace.stage_folder("masks").mkdir()
    os.mkfifo(workspace.stage_folder("masks") / "manifest.json")
    with pytest.raises(Damaged, match="not a regular file"):
        workspace.manifest("masks")
    with pytest.raises(InputError, match="no file"), workspace.open_for(tmp_path / "clip.mp4"):
        pass


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["hashes.json", "lock", "failure.json", "thumbnail.jpg"])
def test_a_pipe_or_an_endless_device_is_not_read(workspace: Workspace, tmp_path: Path, name: str) -> None:  # noqa: F811
    (tmp_path / "clip.mp4").write_text("a video")
    workspace.save_record(tmp_path / "clip.mp4", {})
    place = workspace.folder / name
    for put in (lambda: os.mkfifo(place), lambda: place.symlink_to("/dev/zero")):
        place.unlink(missing_ok=True)
        put()
        again = Workspace(workspace.folder)
        assert again.running is None
        assert again.hashes.of(tmp_path / "clip.mp4", "VIDEO")
        assert failures.content(workspace.folder) == ""
        assert failures.read(workspace.folder) is None


def test_a_link_before_the_first_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_text("a video")
    empty = tmp_path / "empty"
    empty.mkdir()
    new = Workspace(tmp_path / "new.hsplat")
    new.folder.mkdir()
    new.logs.symlink_to(empty)
    with pytest.raises(InputError, match="symbolic link"), new.open_for(tmp_path / "clip.mp4"):
        pass
    assert not list(empty.iterdir())


@pytest.mark.parametrize("name", ["../secret", "/dev/zero", "deep/../../secret"])
def test_a_manifest_that_names_files_elsewhere_is_damaged(
    workspace: Workspace,  # noqa: F811
    name: str,
) -> None:
    manifest = publish(workspace, "one")
    outputs = {**manifest.outputs, name: Output(size=0, mtime_ns=0, sha256="")}
    text = manifest.model_copy(update={"outputs": outputs}).model_dump_json()
    (workspace.stage_folder("masks") / "manifest.json").write_text(text)
    with pytest.raises(Damaged):
        workspace.manifest("masks")
