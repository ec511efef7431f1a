"""YOLO with random weights, in the format of ultralytics: loaded, refused, silent."""

import os
import pickle
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("ultralytics", reason="ultralytics is not installed")

from models.errors import InputError
from models.people import yolo
from models.people.yolo import Yolo, find_people
from models.people.yolo_checkpoint import read_checkpoint

CPU = torch.device("cpu")
NAMES = {0: "person", 1: "bicycle"}
Picture = np.ndarray[Any, np.dtype[np.uint8]]


@pytest.fixture(scope="module")
def network() -> Any:
    """The smallest YOLO11 with random weights, two classes and made-up statistics."""
    torch.manual_seed(0)
    tasks = yolo.quiet_ultralytics().nn.tasks
    model = tasks.DetectionModel("yolo11n.yaml", nc=2, verbose=False)
    model.names = NAMES
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
    return model


@pytest.fixture
def save(tmp_path: Path) -> Callable[[Any], Path]:
    def write(content: Any) -> Path:
        torch.save(content, tmp_path / "weights.pt")
        return tmp_path / "weights.pt"

    return write


@pytest.fixture
def checkpoint(network: Any, save: Callable[[Any], Path]) -> Path:
    """As ultralytics publishes it: half precision, with leftovers of the training."""
    return save({
        "epoch": -1, "best_fitness": None, "model": network.half(), "ema": None, "optimizer": None,
        "train_args": {"imgsz": 640, "save_dir": Path("runs")}, "train_metrics": {"mAP": np.float64(0.4)},
        "date": "2024-09-27", "version": "8.3.0",
    })  # fmt: skip


def refused(path: Path) -> str:
    with pytest.raises(InputError) as refusal:
        Yolo(read_checkpoint(path), path, CPU)
    assert str(path) in refusal.value.problem
    assert refusal.value.next_step
    return refusal.value.problem


def test_a_checkpoint_gives_the_very_tensors(checkpoint: Path, network: Any) -> None:
    read = read_checkpoint(checkpoint)
    assert (read.definition, read.names, read.person) == ("yolo11n.yaml", NAMES, 0)
    wanted = network.state_dict()
    assert read.state.keys() == wanted.keys()
    assert all(torch.equal(read.state[name], value.float()) for name, value in wanted.items())


def test_the_network_answers_as_the_one_that_was_saved(checkpoint: Path, network: Any) -> None:
    loaded = Yolo(read_checkpoint(checkpoint), checkpoint, CPU)._network.eval()
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(loaded(picture)[0], network.float().eval()(picture)[0])


def test_a_clip_is_looked_at_in_silence_and_off_the_network(
    checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError(f"somebody calls {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    pictures = [np.random.default_rng(i).integers(0, 255, (90, 160, 3)).astype(np.uint8) for i in range(3)]
    tracks = find_people(pictures, 15.0, checkpoint, CPU)
    assert tracks == []  # random weights are sure of nothing
    assert capfd.readouterr() == ("", "")
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights.pt"]
    assert not caplog.records


@pytest.mark.slow
def test_the_process_stays_as_it_was() -> None:
    """In a process of its own, since importing ultralytics happens once."""
    program = """
import os, sys
import cv2, numpy, torch
from PIL import Image
import models.people.yolo as yolo
os.environ.pop("OMP_NUM_THREADS", None)
cv2.setNumThreads(2), torch.set_num_threads(2)
def state():
    threads = cv2.getNumThreads(), torch.get_num_threads()
    return Image.open, torch.save, numpy.get_printoptions(), threads
before, variables = state(), dict(os.environ)
package = yolo.quiet_ultralytics()
model = package.nn.tasks.DetectionModel("yolo11n.yaml", verbose=False)
names = {0: "person"} | {n: "thing" for n in range(1, 80)}
checkpoint = yolo.Checkpoint("yolo11n.yaml", names, model.state_dict())
network = yolo.Yolo(checkpoint, "random", torch.device("cpu"))
network.find([numpy.zeros((64, 64, 3), numpy.uint8)])
assert state() == before, (state(), before)
changed = {k for k, v in os.environ.items() if variables.get(k) != v}
assert changed <= {*yolo.QUIETLY, "TORCHINDUCTOR_CACHE_DIR"}, changed
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=280)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_boxes_are_people_in_the_pictures_pixels(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, network: Any
) -> None:
    read = read_checkpoint(checkpoint)
    for name in read.state:  # makes the network sure of a person everywhere, and of a bicycle nowhere
        if ".cv3." in name and name.endswith(".2.bias"):
            read.state[name] = torch.tensor([4.0, -4.0])
    found = Yolo(read, checkpoint, CPU).find([np.zeros((90, 160, 3), np.uint8)] * 2)
    assert len(found) == 2
    boxes = found[0].boxes
    assert len(boxes) > 0 and set(boxes.cls.tolist()) == {0.0}
    assert (boxes.xyxy.min() >= 0) and (boxes.xyxy[:, 2].max() <= 160) and (boxes.xyxy[:, 3].max() <= 90)


class Trap:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def test_a_foreign_class_is_refused_by_name_and_not_run(save: Callable[[Any], Path], tmp_path: Path) -> None:
    assert "posix.system" in refused(save({"model": Trap(tmp_path / "sprung")}))
    assert not (tmp_path / "sprung").exists()


def test_what_is_cut_off_is_refused(checkpoint: Path) -> None:
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: len(content) // 2])
    assert "cut off" in refused(checkpoint)
    checkpoint.write_bytes(b"")
    assert "cut off" in refused(checkpoint)


def test_a_damaged_pickle_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.pt"
    with zipfile.ZipFile(checkpoint) as source, zipfile.ZipFile(damaged, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content[: len(content) // 2] if name.endswith("data.pkl") else content)
    assert "damaged" in refused(damaged)


def test_other_models_are_refused(save: Callable[[Any], Path], network: Any) -> None:
    assert "no network of ultralytics' but state_dict" in refused(save({"state_dict": {"a": torch.zeros(2)}}))
    assert "no network of ultralytics'" in refused(save(torch.zeros(3)))
    assert "image_encoder" in refused(save({"image_encoder.pos_embed": torch.zeros(2)}))
    assert "torch.nn.modules.linear.Linear, which finds no boxes" in refused(
        save({"model": torch.nn.Linear(2, 2)})
    )


def test_networks_that_do_not_fit_are_refused(save: Callable[[Any], Path], network: Any) -> None:
    names, yaml = network.names, network.yaml
    try:
        network.names = {0: "cat", 1: "dog"}
        assert "does not know people but cat, dog" in refused(save({"model": network}))
        network.names = {0: "person"}
        assert "other shapes" in refused(save({"model": network}))
        network.names, network.yaml = names, {**yaml, "yaml_file": "yolo11s.yaml"}
        assert "is not yolo11s" in refused(save({"model": network}))
        network.yaml = {**yaml, "yaml_file": "../../evil.yaml"}
        assert "not supported" in refused(save({"model": network}))
    finally:
        network.names, network.yaml = names, yaml


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.pt")
    (tmp_path / "old.pt").write_bytes(pickle.dumps({"model": 1}))
    assert "no network" in refused(tmp_path / "old.pt")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(checkpoint: Path) -> None:
    checkpoint.chmod(0)
    assert "Permission denied" in refused(checkpoint)


@pytest.mark.parametrize("name", ["yolov8s.yaml", "yolo11n.yaml", "yolo12m.yaml", "yolo26x.yaml"])
def test_the_definition_is_the_one_that_ultralytics_finds(name: str) -> None:
    known = yolo.quiet_ultralytics().nn.tasks.yaml_model_load(name)
    assert yolo.definition(name) == known


def test_definitions_in_the_current_folder_are_left_alone(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: Any
) -> None:
    elsewhere, mark = tmp_path / "elsewhere", tmp_path / "sprung"
    elsewhere.mkdir()
    trap = f"__import__('pathlib').Path({str(mark)!r}).touch() or torch.nn.ReLU()"
    original = Path(yolo.quiet_ultralytics().__file__).parent / "cfg/models/11/yolo11.yaml"
    for name in ("yolo11n.yaml", "yolo11.yaml"):
        (elsewhere / name).write_text(f'activation: "{trap}"\n' + original.read_text())
    monkeypatch.chdir(elsewhere)
    for classes in (2, 80):
        read = read_checkpoint(checkpoint)
        read.names.update({number: "thing" for number in range(2, classes)})
        if classes == 80:
            model = yolo.quiet_ultralytics().nn.tasks.DetectionModel(
                yolo.definition("yolo11n.yaml"), verbose=False
            )
            read.state.update(model.state_dict())
        Yolo(read, checkpoint, CPU).find([np.zeros((64, 64, 3), np.uint8)])
    assert not mark.exists()
