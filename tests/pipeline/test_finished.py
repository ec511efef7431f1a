"""What commands say of a folder that no run has finished."""

import shlex
from pathlib import Path

import pytest

from models.errors import InputError
from pipeline.finished import finished
from pipeline.workspace import Workspace
from tests.pipeline.finished import finished_workspace

NAMES = ("frames", "poses")


def refused(folder: Path) -> InputError:
    with pytest.raises(InputError) as refusal:
        finished(Workspace(folder), NAMES)
    return refusal.value


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = tmp_path / "made"
    for name in NAMES:
        (made / name).mkdir(parents=True)
        (made / name / "result.txt").write_text(name)
        (made / name / "manifest.json").write_text("")
    folders = {name: made / name for name in NAMES}
    return finished_workspace(Workspace(tmp_path / "a clip.hsplat"), folders, NAMES)


def test_whole_stages_are_given(workspace: Workspace) -> None:
    assert finished(workspace, NAMES) == {name: workspace.folder / name for name in NAMES}


def test_a_place_without_anything_is_no_workspace(tmp_path: Path) -> None:
    absent = tmp_path / "it's new.hsplat"
    refusal = refused(absent)
    assert refusal.problem == f"{absent} is not a workspace."
    assert shlex.split(refusal.next_step)[-2:] == ["--workspace", str(absent)]


def test_folders_and_files_of_others_are_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")  # a look through everything would speak of it
    (tmp_path / "avatar.npz").write_text("")
    for other in (tmp_path, tmp_path / "avatar.npz", tmp_path / "link"):
        refusal = refused(other)
        assert refusal.problem == f"{other} is not a workspace."
        assert refusal.next_step == "Give the folder that a run has made, such as clip.hsplat."


def test_a_part_of_a_workspace_leads_to_it(workspace: Workspace) -> None:
    for part in ("frames", "frames/result.txt"):
        refusal = refused(workspace.folder / part)
        assert refusal.problem == f"{workspace.folder / part} is not a workspace."
        assert refusal.next_step == f"Give the one that it lies in: {workspace.folder}"


def test_the_advice_can_be_pasted(workspace: Workspace) -> None:
    (workspace.stage_folder("poses") / "manifest.json").unlink()
    refusal = refused(workspace.folder)
    assert refusal.problem.endswith("has not finished: poses is missing.")
    assert shlex.split(refusal.next_step)[-2:] == ["--workspace", str(workspace.folder)]


def test_a_file_in_a_stages_place_is_damage(workspace: Workspace) -> None:
    folder = workspace.stage_folder("poses")
    folder.rename(folder.with_name("moved"))
    folder.write_text("")
    assert "is damaged: manifest.json cannot be read: Not a directory" in refused(workspace.folder).problem
