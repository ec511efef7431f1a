"""The silhouettes of the benchmark sequences, from BlazePose's probabilities to the truth."""

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.masks import SEQUENCES, everything, iou, pictures, probabilities

BENCH = Path(os.environ.get("HSPLAT_SHARED", Path(__file__).parents[4] / "shared")) / "bench"
STEP = 6


@pytest.mark.skipif(not BENCH.is_dir(), reason="the benchmark sequences are not here (HSPLAT_SHARED)")
def test_mean_iou_on_the_benchmark() -> None:
    scores = []
    for sequence in SEQUENCES:
        images = pictures(BENCH / sequence / "video.mp4")[::STEP]
        with np.load(BENCH / sequence / "masks.npz", allow_pickle=False) as file:
            truths = file[file.files[0]][::STEP].astype(np.float32) / 255
        masks = everything(images, probabilities(images))
        scores.append(np.mean([iou(mask, truth) for mask, truth in zip(masks, truths, strict=True)]))
    assert np.mean(scores) > 0.955
    assert min(scores) > 0.94
