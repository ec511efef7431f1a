"""The folder of a clip: claiming it, publishing into it, finding damage."""

import errno
import json
import os
import resource
import shutil
from pathlib import Path

import pytest

from models.errors import InputError, StageError
from pipeline.workspace import Damaged, Manifest, Workspace, listed, now


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    place = Workspace(tmp_path / "clip.hsplat")
    with place.open_for(tmp_path / "clip.mp4"):
        return place


def publish(workspace: Workspace, text: str, stage: str = "masks") -> Manifest:
    with workspace.staging(stage, "f" * 64) as (partial, _):
        (partial / "deep").mkdir()
        (partial / "deep" / "file").write_text(text)
        manifest = Manifest(
            stage=stage, version=1, engine="e", settings={}, files={}, needs={}, fingerprint="f" * 64,
            finished=now(), seconds=1.0, peak_memory=1, summary={}, outputs=listed(partial),
        )  # fmt: skip
        workspace.publish(manifest)
    return manifest


def hidden(workspace: Workspace) -> list[str]:
    return [path.name for path in workspace.folder.iterdir() if path.name.startswith(".")]


def test_what_is_published_is_read_back(workspace: Workspace) -> None:
    manifest = publish(workspace, "one")
    assert workspace.manifest("masks") == manifest
    assert manifest.outputs["deep/file"].size == 3


def test_publishing_again_replaces_and_leaves_nothing_over(workspace: Workspace) -> None:
    publish(workspace, "one")
    publish(workspace, "two")
    assert (workspace.stage_folder("masks") / "deep/file").read_text() == "two"
    assert not hidden(workspace)


def test_a_failure_leaves_the_published_stage_and_the_checkpoints(workspace: Workspace) -> None:
    manifest = publish(workspace, "one")
    with pytest.raises(ValueError, match="bug"), workspace.staging("masks", "a" * 64) as (partial, scratch):
        (partial / "file").write_text("half")
        (scratch / "checkpoint").write_text("7")
        raise ValueError("bug")
    assert workspace.manifest("masks") == manifest
    assert not workspace.partial_folder("masks").exists()
    with workspace.staging("masks", "a" * 64) as (partial, scratch):
        assert (scratch / "checkpoint").read_text() == "7"
        assert not any(partial.iterdir())


def test_checkpoints_of_other_work_are_removed(workspace: Workspace) -> None:
    with workspace.staging("masks", "a" * 64) as (_, scratch):
        (scratch / "checkpoint").write_text("7")
    with workspace.staging("masks", "b" * 64) as (_, other):
        assert not any(other.iterdir())
        assert not scratch.exists()


def test_a_kill_between_the_two_renames_is_mended(workspace: Workspace, tmp_path: Path) -> None:
    manifest = publish(workspace, "one")
    workspace.stage_folder("masks").rename(workspace.folder / ".masks.old")
    with workspace.open_for(tmp_path / "clip.mp4"):
        assert workspace.manifest("masks") == manifest


def test_a_kill_after_the_second_rename_is_tidied(workspace: Workspace, tmp_path: Path) -> None:
    publish(workspace, "old")
    workspace.stage_folder("masks").rename(workspace.folder / ".masks.old")
    manifest = publish(workspace, "new")
    (workspace.folder / ".masks.old").mkdir(exist_ok=True)
    with workspace.open_for(tmp_path / "clip.mp4"):
        assert workspace.manifest("masks") == manifest
    assert not hidden(workspace)


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(0, 0))


@pytest.mark.parametrize(
    ("name", "harm", "complaint"),
    [
        ("manifest.json", truncate, "manifest.json is damaged"),
        ("manifest.json", lambda file: file.write_text("{}"), "manifest.json is damaged"),
        ("manifest.json", lambda file: file.write_bytes(b"\xff" * 99), "manifest.json is damaged"),
        ("manifest.json", lambda file: file.write_text("[" * 100_000), "manifest.json is damaged"),
        ("deep/file", truncate, r"masks/deep/file has 1 bytes instead of 3"),
        ("deep/file", flip, "masks/deep/file was changed"),
        ("deep/file", Path.unlink, "masks/deep/file cannot be read"),
    ],
)
def test_damage_is_found(workspace: Workspace, name: str, harm: object, complaint: str) -> None:
    publish(workspace, "one")
    assert callable(harm)
    harm(workspace.stage_folder("masks") / name)
    with pytest.raises(Damaged, match=complaint):
        workspace.manifest("masks")


def test_a_copied_workspace_is_as_good(workspace: Workspace) -> None:
    manifest = publish(workspace, "one")
    os.utime(workspace.stage_folder("masks") / "deep/file", ns=(5, 5))
    assert workspace.manifest("masks") == manifest


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "is full"),
        (OSError(errno.EIO, "Input/output error"), "fails: Input/output error"),
        (OSError(errno.EROFS, "Read-only file system"), "cannot be written: Read-only"),
        (PermissionError(errno.EACCES, "Permission denied"), "cannot be written: Permission"),
    ],
)
def test_the_disks_refusal_is_a_stage_error(workspace: Workspace, error: OSError, message: str) -> None:
    with pytest.raises(StageError, match=message), workspace.staging("masks", "a" * 64):
        raise error


def test_a_librarys_own_words_for_a_full_disk_are_understood(
    workspace: Workspace,
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(StageError, match="is full"), workspace.staging("masks", "a" * 64):
            raise RuntimeError("PytorchStreamWriter failed writing file")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (workspace.folder / ".trial").exists()


def test_a_bug_on_a_disk_with_room_stays_a_bug(workspace: Workspace) -> None:
    with pytest.raises(RuntimeError, match="bug"), workspace.staging("masks", "a" * 64):
        raise RuntimeError("bug")


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "Documents"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with (
        pytest.raises(InputError, match="not a workspace"),
        Workspace(folder).open_for(tmp_path / "clip.mp4"),
    ):
        pass
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


HELD = '{"pid": 1, "host": "h", "started": "2026-01-01 00:00:00"}'


@pytest.mark.parametrize(
    "foreign",
    [
        {"workspace.json": '{"folders": []}'},
        {"workspace.json": '{"folders": []}', "lock": "", "logs/a.log": "mine"},
        {"workspace.json": '{"folders": []}', "lock": HELD, "logs/a.log": "mine"},
        {"workspace.json": "half a fi", "lock": "", "logs/a.log": "mine"},
        {"lock": "", "logs/a.log": "mine"},
        {"lock": "4711", "logs/a.log": "mine"},
        {"lock": "[" * 100_000, "logs/a.log": "mine"},
        {"logs/a.log": "mine"},
        {"lock": HELD},
    ],
)
def test_a_folder_of_another_program_is_refused_and_left_alone(
    tmp_path: Path, foreign: dict[str, str]
) -> None:
    folder = tmp_path / "project"
    files = {**foreign, "masks/mine.png": "mine", ".masks.old/mine.png": "mine", ".git.old/head": "mine"}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    with (
        pytest.raises(InputError, match="not a workspace"),
        Workspace(folder).open_for(tmp_path / "clip.mp4"),
    ):
        pass
    assert {name: (folder / name).read_text() for name in files} == files
    assert len([path for path in folder.rglob("*") if path.is_file()]) == len(files)


def test_the_users_folders_in_a_workspace_are_left_alone(workspace: Workspace, tmp_path: Path) -> None:
    (workspace.folder / ".mine.old").mkdir()
    (workspace.folder / "mine").mkdir()
    with workspace.open_for(tmp_path / "clip.mp4"):
        publish(workspace, "one")
    assert (workspace.folder / ".mine.old").is_dir()
    assert (workspace.folder / "mine").is_dir()


@pytest.mark.parametrize("text", [None, "", '{"p', '{"pid": 17, "host": "h"'])
def test_a_workspace_that_was_ended_at_once_is_taken(tmp_path: Path, text: str | None) -> None:
    folder = tmp_path / "clip.hsplat"
    (folder / "logs").mkdir(parents=True)
    if text is not None:
        (folder / "lock").write_text(text)
    with Workspace(folder).open_for(tmp_path / "clip.mp4"):
        assert "pid" in (folder / "lock").read_text()


@pytest.mark.parametrize("harm", [lambda folder: (folder / "manifest.json").unlink(), shutil.rmtree])
def test_a_damaged_stage_is_replaced(workspace: Workspace, harm: object) -> None:
    publish(workspace, "one")
    assert callable(harm)
    harm(workspace.stage_folder("masks"))
    workspace.stage_folder("masks").mkdir(exist_ok=True)
    manifest = publish(workspace, "two")
    assert workspace.manifest("masks") == manifest
    assert not hidden(workspace)


def test_a_file_in_the_workspaces_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(InputError, match="cannot be written"),
        Workspace(tmp_path / "file").open_for(tmp_path),
    ):
        pass
    assert (tmp_path / "file").read_text() == "mine"


def test_another_videos_workspace_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    mine, other, copy = tmp_path / "mine.mp4", tmp_path / "other.mp4", tmp_path / "copy.mp4"
    mine.write_text("mine")
    copy.write_text("mine")
    other.write_text("other")
    with workspace.open_for(mine):
        workspace.save_record(mine, {})
    with pytest.raises(InputError, match="belongs to another video") as error, workspace.open_for(other):
        pass
    assert str(mine) in error.value.problem
    assert "--workspace other-2.hsplat" in error.value.next_step
    with workspace.open_for(copy):
        pass
    mine.write_text("the same video, cut anew")
    with workspace.open_for(mine):
        pass


@pytest.mark.parametrize("text", ["", '{"format": 1, "vid', "nonsense", "[" * 100_000])
def test_a_damaged_record_is_written_anew(workspace: Workspace, tmp_path: Path, text: str) -> None:
    video = tmp_path / "clip.mp4"
    video.write_text("clip")
    workspace.record_path.write_text(text)
    with workspace.open_for(video):
        workspace.save_record(video, {"a": 1})
    assert json.loads(workspace.record_path.read_text())["configuration"] == {"a": 1}


def test_the_oldest_logs_are_removed(workspace: Workspace) -> None:
    for number in range(30):
        (workspace.logs / f"20260101-0000{number:02}-1.log").touch()
    workspace.log_path()
    names = sorted(path.name for path in workspace.logs.iterdir())
    assert (len(names), names[-1]) == (19, "20260101-000029-1.log")
