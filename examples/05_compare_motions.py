"""What the optimisation changed: the motion as first estimated and as refined.

    python examples/05_compare_motions.py clip.hsplat [OUTPUT_FOLDER]

Writes 05_before_after.mp4, and prints how far each joint moved.
"""

# %%
import sys
from pathlib import Path

import numpy as np
import torch

from models.avatar import Avatar
from models.body import JOINT_NAMES, Motion
from stages.video import write_video

workspace = Path(sys.argv[1])
output = Path(sys.argv[2] if len(sys.argv) > 2 else ".")
export = workspace / "export"
avatar = Avatar.load(export / "avatar.npz")
before, after = Motion.load(export / "motion_initial.npz"), Motion.load(export / "motion.npz")

# %% Joints are in camera space, metres
moved = 1000 * np.linalg.norm(after.joints - before.joints, axis=-1)[after.valid].mean(axis=0)
for joint in np.argsort(-moved)[:8]:
    print(f"{JOINT_NAMES[joint]:<16}{moved[joint]:6.0f} mm")

# %% Jitter: the joints' mean second difference
for name, motion in (("before", before), ("after", after)):
    if len(motion) > 2:
        jitter = 1000 * np.linalg.norm(np.diff(motion.joints, n=2, axis=0), axis=-1).mean()
        print(f"{name}: {jitter:.1f} mm per frame squared")

# %% The same avatar in both motions, side by side, each with its own camera
white = torch.ones(3)


def picture(motion: Motion, frame: int) -> np.ndarray:
    """(H, W, 3) uint8."""
    camera = motion.camera().resized(240, 320)
    with torch.no_grad():
        drawn = avatar.pose(motion.poses[frame], avatar.trans_for(motion)[frame]).render(camera, white)
    return (255 * drawn).round().clamp(0, 255).byte().numpy()


pairs = (np.hstack([picture(motion, frame) for motion in (before, after)]) for frame in range(len(after)))
write_video(output / "05_before_after.mp4", pairs, after.fps)
