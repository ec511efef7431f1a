"""Let the avatar make another motion: BVH (Mixamo, CMU, Biped, SMPL names), AMASS or motion.npz.

    python examples/03_reanimate.py clip.hsplat [OUTPUT_FOLDER [MOTION]]

Without MOTION the clip's own is written as BVH and read again. Writes 03_reanimated.webm, transparent.
"""

# %%
import sys
from pathlib import Path

import torch

from models.avatar import Avatar, framing
from models.body import Motion
from models.formats import write_bvh
from stages.render import read_motion, straight
from stages.video import write_video

workspace = Path(sys.argv[1])
output = Path(sys.argv[2] if len(sys.argv) > 2 else ".")
avatar = Avatar.load(workspace / "export" / "avatar.npz")

# %% A motion file: animation programs read BVH; here it comes from the clip itself
path = Path(sys.argv[3]) if len(sys.argv) > 3 else output / "03_motion.bvh"
if len(sys.argv) <= 3:
    refined = Motion.load(workspace / "export" / "motion.npz")
    write_bvh(path, refined, avatar.rest_joints, avatar.parents.tolist(), unit="cm")

# %% Read onto the avatar's skeleton, whatever skeleton it was made for
source = read_motion(path, avatar)
for note in source.notes:
    print(note)
motion = source.motion

# %% BVH knows no camera: one that has the whole motion in the picture
camera = source.camera or framing(motion.joints, 480, 480)

# %% Posed one by one; a batch `avatar.pose(motion.poses, trans)` is possible too, and takes its memory
trans = avatar.trans_for(motion)
with torch.no_grad():
    renderings = (avatar.pose(motion.poses[t], trans[t]).render(camera) for t in range(len(motion)))
    write_video(output / "03_reanimated.webm", map(straight, renderings), motion.fps)
