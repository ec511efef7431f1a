"""Files that the user has: recognised by content, taken, or refused with a reason."""

import io
import json
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from models import weights
from models.errors import HsplatError, InputError, StageError
from models.weights import TABLE, Weights, add, archive
from tests.made_up_weights import pin
from tests.models.body.test_official import smpl_arrays, write_npz
from tests.models.weights.test_fetch import quiet

CHECKPOINT = TABLE["hmr2"].files[0]
HEAVY = weights.find("blazepose_heavy")  # of this machine; the tests have a cache of their own


def taken(source: Path, key: str | None = None, force: bool = False) -> Weights:
    return add(source, quiet, key, force)


def refused(source: Path, key: str | None = None) -> HsplatError:
    with pytest.raises(HsplatError) as refusal:
        add(source, quiet, key)
    assert not any(weights.find(key) for key in TABLE)
    return refusal.value


def pack(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as target:
        for info, content in members:
            info.size = len(content)
            target.addfile(info, io.BytesIO(content))
    return path


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = "/etc/passwd"
    return info, content


@pytest.fixture(scope="module")
def smpl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_npz(tmp_path_factory.mktemp("smpl") / "body.npz", smpl_arrays())


def test_a_published_file_is_known_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin(monkeypatch, "sam_vit_b", b"SAM")
    file = tmp_path / "renamed.bin"
    file.write_bytes(b"SAM")
    assert taken(file).key == "sam_vit_b"
    assert weights.require("sam_vit_b").read_bytes() == b"SAM"


@pytest.mark.parametrize(
    ("name", "model", "digest", "site"),
    [
        ("sam_vit_b_01ec64.pth", "SAM ViT-B", "ec2df627", "dl.fbaipublicfiles.com"),
        ("pose_landmark_heavy.tflite", "BlazePose heavy", "59e42d71", "mediapipe-assets"),
    ],
)
def test_a_file_that_is_named_like_weights_but_is_not(
    tmp_path: Path, name: str, model: str, digest: str, site: str
) -> None:
    file = tmp_path / name
    file.write_bytes(b"half of")
    refusal = refused(file)
    assert f"is not {model}, or damaged or cut off" in refusal.problem
    assert digest in refusal.problem
    assert site in refusal.next_step


@pytest.mark.skipif(HEAVY is None, reason="BlazePose's heavy network is not on this machine")
def test_the_heavy_landmark_network_is_known(tmp_path: Path) -> None:
    assert HEAVY is not None
    shutil.copy(HEAVY, tmp_path / "model")
    assert taken(tmp_path / "model").key == "blazepose_heavy"


def test_what_the_user_says_must_be_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin(monkeypatch, "sam_vit_b", b"SAM")
    file = tmp_path / "sam.pth"
    file.write_bytes(b"SAM")
    assert "is SAM ViT-B (sam_vit_b), not YOLO11 n" in refused(file, "yolo11n").problem


def test_the_unknown_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "holiday.jpg"
    file.write_bytes(b"beach")
    refusal = refused(file)
    assert "none of the weights in use" in refusal.problem
    assert "weights list" in refusal.next_step
    assert "No such file" in refused(tmp_path / "none").problem


def test_hmr2_comes_out_of_its_archive(tmp_path: Path, cache: Path) -> None:
    source = pack(
        tmp_path / "hmr2_data.tar.gz",
        member("../escape.txt", b"x"),
        member("/absolute.txt", b"x"),
        member("link", kind=tarfile.SYMTYPE),
        member(f"./{CHECKPOINT}", b"checkpoint"),
        member("data/smpl/SMPL_NEUTRAL.pkl", b"not ours to take"),
    )
    assert taken(source).key == "hmr2"
    assert weights.require("hmr2").read_bytes() == b"checkpoint"
    files = {str(f.relative_to(cache / "hmr2")) for f in cache.rglob("*") if f.is_file()}
    assert files == {CHECKPOINT, "weights.json"}
    assert not (tmp_path / "escape.txt").exists() and not Path("/absolute.txt").exists()


def test_an_uncompressed_archive_with_a_folder_around_it(tmp_path: Path) -> None:
    taken(pack(tmp_path / "hmr2.tar", member(f"hmr2_data/{CHECKPOINT}", b"checkpoint"), mode="w"))
    assert weights.require("hmr2").read_bytes() == b"checkpoint"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_a_link_in_the_place_of_the_checkpoint(tmp_path: Path, kind: bytes) -> None:
    source = pack(tmp_path / "a.tar", member(CHECKPOINT, kind=kind), mode="w")
    assert "something else than a file" in refused(source).problem


def test_archives_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = pack(tmp_path / "other.tar.gz", member("readme.txt", b"hello"))
    assert "lacks logs/train" in refused(source).problem
    whole = pack(tmp_path / "whole.tar.gz", member(CHECKPOINT, np.random.default_rng(0).bytes(500_000)))
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(whole.read_bytes()[:200_000])
    assert "damaged or cut off" in refused(cut).problem
    monkeypatch.setattr(archive, "MOST_BYTES", 400_000)
    assert "more than weights can be" in refused(whole).problem


def test_hmr2s_checkpoint_by_itself(tmp_path: Path) -> None:
    names = ("backbone.patch_embed.proj.weight", "smpl_head.decpose.weight", "smpl_head.deccam.weight")
    file = tmp_path / "some.ckpt"
    torch.save({"state_dict": {name: torch.zeros(2) for name in names}}, file)
    assert taken(file).key == "hmr2"
    torch.save({"state_dict": {"backbone.patch_embed.proj.weight": torch.zeros(2)}}, file)
    with pytest.raises(InputError, match="none of the weights"):
        taken(file)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("SMPL_NEUTRAL.npz", "smpl_neutral"),
        ("basicmodel_f_lbs_10_207_0_v1.1.0.npz", "smpl_female"),
        ("basicModel_m_lbs_10_207_0_v1.0.0.npz", "smpl_male"),
        ("SMPL_FEMALE.npz", "smpl_female"),
    ],
)
def test_smpl_is_told_by_content_and_name(tmp_path: Path, name: str, key: str, smpl: Path) -> None:
    shutil.copy(smpl, tmp_path / name)
    assert taken(tmp_path / name).key == key
    assert weights.find(key) is not None


def test_smpl_whose_name_does_not_tell(smpl: Path) -> None:
    assert "--as smpl_neutral" in refused(smpl).next_step
    assert taken(smpl, "smpl_male").key == "smpl_male"


def test_another_body_and_a_packed_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "SMPLX_NEUTRAL.npz", v_template=np.zeros((10475, 3)))
    assert "lacks" in refused(tmp_path / "SMPLX_NEUTRAL.npz").problem
    with zipfile.ZipFile(tmp_path / "SMPL_python_v.1.1.0.zip", "w") as packed:
        packed.writestr("SMPL_python_v.1.1.0/smpl/models/basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl", b"")
    refusal = refused(tmp_path / "SMPL_python_v.1.1.0.zip")
    assert "Unpack it" in refusal.next_step and "basicmodel_neutral" in refusal.next_step


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"backbone_config": {"hidden_size": 768}}, "depth_anything_v2_base"),
        (
            {"backbone_config": {"hidden_size": 1024}, "depth_estimation_type": "relative"},
            "depth_anything_v2_large",
        ),
    ],
)
def test_depth_anything_is_a_folder(tmp_path: Path, config: dict[str, object], key: str) -> None:
    for name in TABLE[key].files:
        (tmp_path / name).write_text(json.dumps(config))
    assert taken(tmp_path).key == key
    assert (weights.require(key) / "config.json").is_file()


def test_metric_depth_with_a_published_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"backbone_config": {"hidden_size": 384}, "depth_estimation_type": "metric", "max_depth": 80}
    key = "depth_anything_v2_metric_outdoor_small"
    for name in TABLE[key].files:
        (tmp_path / name).write_text(json.dumps(config))
    assert "not the published one" in refused(tmp_path).problem
    pin(monkeypatch, key, (tmp_path / "model.safetensors").read_bytes())
    assert taken(tmp_path).key == key
    with pytest.raises(InputError, match="only one of the files"):
        taken(tmp_path / "model.safetensors")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"backbone_config": {"hidden_size": 5}}'])
def test_a_folder_of_another_model(tmp_path: Path, text: str) -> None:
    assert "lacks model.safetensors" in refused(tmp_path).problem
    for name in TABLE["depth_anything_v2_small"].files:
        (tmp_path / name).write_text(text)
    assert "not that of Depth Anything" in refused(tmp_path).problem


@pytest.mark.parametrize("key", ["smpl_neutral", "sam_vit_b", "yolo11n", "hmr2"])
def test_a_folder_in_the_place_of_a_file(tmp_path: Path, key: str) -> None:
    refusal = refused(tmp_path, key)
    assert refusal.problem == f"{tmp_path} is a folder; {TABLE[key].model} is a file."
    assert Path(TABLE[key].files[0]).name in refusal.next_step


@pytest.mark.parametrize("key", ["smpl_neutral", "sam_vit_b", "depth_anything_v2_small"])
def test_an_archive_of_what_comes_in_none(tmp_path: Path, key: str) -> None:
    source = pack(tmp_path / "evil.tar.gz", member("readme.txt", b"hello"))
    refusal = refused(source, key)
    assert refusal.problem == f"{source} is an archive, not {TABLE[key].model}."
    assert TABLE[key].files[0] in refusal.next_step


def test_arrays_said_to_be_a_network(tmp_path: Path) -> None:
    np.savez(tmp_path / "poses.npz", poses=np.zeros(3))
    refusal = refused(tmp_path / "poses.npz", "sam_vit_b")
    assert "is not SAM ViT-B" in refusal.problem and "SMPL" not in str(refusal)


def test_other_content_needs_force(tmp_path: Path) -> None:
    taken(pack(tmp_path / "a.tar", member(CHECKPOINT, b"one"), mode="w"))
    other = pack(tmp_path / "b.tar", member(CHECKPOINT, b"two"), mode="w")
    with pytest.raises(InputError, match="differs from what was there") as refusal:
        taken(other)
    assert "--force" in refusal.value.next_step
    assert weights.require("hmr2").read_bytes() == b"one"
    taken(other, force=True)
    assert weights.require("hmr2").read_bytes() == b"two"


def test_a_cache_that_cannot_be_written(tmp_path: Path, cache: Path) -> None:
    cache.write_text("")
    source = pack(tmp_path / "a.tar", member(CHECKPOINT, b"one"), mode="w")
    assert isinstance(refused(source), StageError)


@pytest.mark.parametrize("name", ["notes.txt", "SMPL_NEUTRAL.pkl", "SMPL_NEUTRAL.npz", "a.pt", "a.tar.gz"])
def test_a_text_is_refused_under_any_name(cache: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\n" * 100)
    assert name in refused(tmp_path / name).problem


def test_what_never_ends_is_not_read(cache: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for source in (tmp_path / "pipe", Path("/dev/zero")):
        assert refused(source).problem == f"{source} is not a regular file."
