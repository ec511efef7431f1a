"""Poses made of angles: the avatar waves.

    python examples/04_pose_by_hand.py clip.hsplat [OUTPUT_FOLDER]

Writes 04_wave.mp4 and 04_pose.png.
"""

# %%
import sys
from pathlib import Path

import numpy as np
import torch

from models.avatar import Avatar, a_pose, turntable
from models.body import JOINT_NAMES
from stages.images import write_image
from stages.render import straight
from stages.video import write_video

workspace = Path(sys.argv[1])
output = Path(sys.argv[2] if len(sys.argv) > 2 else ".")
avatar = Avatar.load(workspace / "export" / "avatar.npz")

# %% A pose is 24 axis-angle vectors, radians, each relative to the parent joint; zeros are the T-pose.
# In the T-pose x is the person's left, y up, z to the front: a turn about +z lifts the left arm.
print(", ".join(JOINT_NAMES))
count = 36
angles = np.tile(a_pose().reshape(24, 3), (count, 1, 1))
phase = np.linspace(0, 4 * np.pi, count, endpoint=False)
angles[:, JOINT_NAMES.index("left_shoulder")] = [0, 0, 0.5]
angles[:, JOINT_NAMES.index("left_elbow"), 2] = 0.8 + 0.4 * np.sin(phase)
angles[:, JOINT_NAMES.index("head"), 1] = 0.2 * np.sin(phase / 2)
poses = angles.reshape(count, 72)

# %% All poses at once, seen by one camera: (36, H, W, 3)
front = turntable(avatar, width=240, height=320, count=1, poses=poses)[0]
with torch.no_grad():
    pictures = avatar.pose(poses).render(front, background=torch.ones(3))
write_video(output / "04_wave.mp4", (255 * pictures).round().clamp(0, 255).byte().numpy(), fps=18)

# %% Everything is differentiable: Newton's method bends the elbow until the hand is as high as the head
hand, head, elbow = (JOINT_NAMES.index(name) for name in ("left_hand", "head", "left_elbow"))
bend = torch.tensor(0.3)
for _ in range(5):
    bend.requires_grad_()
    pose = torch.from_numpy(poses[0]).clone()
    pose[3 * elbow + 2] = bend
    transforms = avatar.pose(pose).transforms
    places = (transforms[:, :3, :3] @ avatar.rest_joints[..., None])[..., 0] + transforms[:, :3, 3]
    above = places[hand, 1] - places[head, 1]
    (slope,) = torch.autograd.grad(above, bend)
    bend = (bend - above / slope).detach()
print(f"the elbow bends by {np.degrees(bend.item()):.0f} degrees")
with torch.no_grad():
    pose[3 * elbow + 2] = bend
    write_image(output / "04_pose.png", straight(avatar.pose(pose).render(front)))
