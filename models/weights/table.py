"""Every file of a network or body that this project can use and does not bring with it.

A SHA-256 stands where the publisher or several independent users of the file state it; where none does
the first download is taken as it comes, and its hash is kept beside it, so that it cannot change unnoticed.
"""

from dataclasses import dataclass

_YOLO = "https://github.com/ultralytics/assets/releases/download/v8.4.0"
_SAM = "https://dl.fbaipublicfiles.com/segment_anything"
_HUB = "https://huggingface.co/depth-anything"
_MEDIAPIPE = "https://storage.googleapis.com/mediapipe-assets"
_HMR2_FOLDER = "logs/train/multiruns/hmr2/0"


@dataclass(frozen=True)
class Remote:
    """A file to download.

    Attributes:
        address: where it is.
        size: bytes; rounded where nobody states them. For people and for the look at the disk's free space.
        sha256: of its content; empty where it is not known.
    """

    address: str
    size: int
    sha256: str = ""

    @property
    def name(self) -> str:
        """The file's name, the address's last part."""
        return self.address.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Weights:
    """A row of the table.

    Attributes:
        key: its name here, and that of its folder in the cache.
        model: its name among people.
        purpose: the stage that it serves, and how.
        licence: that of the file.
        page: where it is described, and to be had where `remotes` is empty: by hand, behind a licence.
        files: the names that it has in its folder, the one that `find` gives first; more than one are
            given as the folder.
        remotes: what to download; an archive whose members end in `files`, or the files themselves.
        archive: whether it is one.
    """

    key: str
    model: str
    purpose: str
    licence: str
    page: str
    files: tuple[str, ...]
    remotes: tuple[Remote, ...] = ()
    archive: bool = False

    @property
    def size(self) -> int:
        """Bytes to download; 0 where it is to be had by hand only."""
        return sum(remote.size for remote in self.remotes)


def _yolo(scale: str, size: int, sha256: str) -> Weights:
    name = f"yolo11{scale}.pt"
    return Weights(
        key=f"yolo11{scale}",
        model=f"YOLO11 {scale}",
        purpose="detect: finds people",
        licence="AGPL-3.0",
        page="https://docs.ultralytics.com/models/yolo11",
        files=(name,),
        remotes=(Remote(f"{_YOLO}/{name}", size, sha256),),
    )


def _sam(scale: str, name: str, size: int, sha256: str) -> Weights:
    return Weights(
        key=f"sam_vit_{scale}",
        model=f"SAM ViT-{scale.upper()}",
        purpose="masks: the subject's silhouette",
        licence="Apache-2.0",
        page="https://github.com/facebookresearch/segment-anything",
        files=(name,),
        remotes=(Remote(f"{_SAM}/{name}", size, sha256),),
    )


def _depth(variant: str, size: int, sha256: str = "", revision: str = "main") -> Weights:
    """Depth Anything V2 of a variant such as "Metric-Indoor-Small", as transformers reads it: a folder."""
    repository = f"{_HUB}/Depth-Anything-V2-{variant}-hf"
    kind = "depth in metres" if "Metric" in variant else "relative depth"
    model = ("model.safetensors", size, sha256)
    small = (("config.json", 1000, ""), ("preprocessor_config.json", 1000, ""))
    return Weights(
        key=f"depth_anything_v2_{variant.lower().replace('-', '_')}",
        model=f"Depth Anything V2 {variant.replace('-', ' ')}",
        purpose=f"depth: {kind}",
        licence="Apache-2.0" if variant.endswith("Small") else "CC-BY-NC-4.0",
        page=repository,
        files=tuple(name for name, *_ in (model, *small)),
        remotes=tuple(Remote(f"{repository}/resolve/{revision}/{n}", s, h) for n, s, h in (model, *small)),
    )


def _smpl(gender: str) -> Weights:
    return Weights(
        key=f"smpl_{gender}",
        model=f"SMPL, {gender}",
        purpose="poses, optimize: the official body (--body)",
        licence="SMPL's, non-commercial",
        page="https://smpl.is.tue.mpg.de",
        files=(f"SMPL_{gender.upper()}.pkl",),
    )


_ROWS = (
    _yolo("n", 5_613_764, "0ebbc80d4a7680d14987a577cd21342b65ecfd94632bd9a8da63ae6417644ee1"),
    _yolo("s", 19_313_732, "85a76fe86dd8afe384648546b56a7a78580c7cb7b404fc595f97969322d502d5"),
    _yolo("m", 40_684_120, "d5ffc1a674953a08e11a8d21e022781b1b23a19b730afc309290bd9fb5305b95"),
    Weights(
        key="blazepose_heavy",
        model="BlazePose heavy",
        purpose="detect: the subject's landmarks and silhouette",
        licence="Apache-2.0",
        page="https://github.com/google-ai-edge/mediapipe/blob/master/docs/solutions/models.md",
        files=("pose_landmark_heavy.tflite",),
        remotes=(
            Remote(
                f"{_MEDIAPIPE}/pose_landmark_heavy.tflite",
                27_709_200,
                "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
            ),
        ),
    ),
    Weights(
        key="hmr2",
        model="HMR 2.0",
        purpose="poses: SMPL's pose and shape in every frame",
        licence="MIT; its use of SMPL non-commercial",
        page="https://github.com/shubham-goel/4D-Humans",
        files=(f"{_HMR2_FOLDER}/checkpoints/epoch=35-step=1000000.ckpt",),
        remotes=(Remote("https://www.cs.utexas.edu/~pavlakos/4dhumans/hmr2_data.tar.gz", 2_700_000_000),),
        archive=True,
    ),
    _sam(
        "b",
        "sam_vit_b_01ec64.pth",
        375_042_383,
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    _sam(
        "l",
        "sam_vit_l_0b3195.pth",
        1_249_524_607,
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    _sam(
        "h",
        "sam_vit_h_4b8939.pth",
        2_564_550_879,
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
    _depth(
        "Small",
        99_173_660,
        "3152477ce0d8d6978d76b995120de97cb5b928701fd0f817769f59e249a16b70",
        "5426e4f0f36572d16453bbda7a8389317b1bef99",
    ),
    _depth("Base", 390_000_000),
    _depth("Large", 1_341_000_000),
    _depth(
        "Metric-Indoor-Small",
        99_173_660,
        "e990eb82fbf11b05b7813261196a2b841bdcf5a05f64396724a8987fa90504a3",
        "8078d68a9c75a972131914f6afd0c1723be0da7f",
    ),
    _depth(
        "Metric-Indoor-Base",
        390_000_000,
        "8b902f5d9a8c8a9520f3a8c6a00afe442b464eff5aaf0cb405d1da721cd9f79f",
        "c6d9784685727bfc6d0a7b5452ce94afaee1e7f5",
    ),
    _depth(
        "Metric-Indoor-Large",
        1_341_000_000,
        "04d3295ff4f9cbee72b8998a85930fe870b45ba4431e7af47415fbded02388ca",
        "d2fc6a93601aabb1139a3bf0ebfcb4e89c67817f",
    ),
    _depth(
        "Metric-Outdoor-Small",
        99_173_660,
        "ad065c77a7421ca55159a1f0db9433397a607690f2d76bb8a6fc54b1be7a3124",
        "fd2c22027eaf20374204f14099b8341e1925ad39",
    ),
    _depth(
        "Metric-Outdoor-Base",
        390_000_000,
        "1f2e9ed13ee39126686994669f8d1bfd9cd8f093a4d2a0891e5a0e5263b480c9",
        "5b575fded0346068343a6d96d0ce3ab6dbc9fb49",
    ),
    _depth(
        "Metric-Outdoor-Large",
        1_341_000_000,
        "15f7de4b22f1b1194847ea694ee9ed6395563ba5cd52b70b87901f183c232c9a",
        "4eab4cf1983c2801c515804005214de56a4b67cc",
    ),
    _smpl("neutral"),
    _smpl("male"),
    _smpl("female"),
)

TABLE: dict[str, Weights] = {row.key: row for row in _ROWS}
