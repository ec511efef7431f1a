"""The avatar from all sides.

    python examples/02_turntable.py clip.hsplat [OUTPUT_FOLDER]

Writes 02_turntable.mp4.
"""

# %%
import sys
from pathlib import Path

import torch

from models.avatar import Avatar, a_pose, turntable
from stages.video import write_video

workspace = Path(sys.argv[1])
output = Path(sys.argv[2] if len(sys.argv) > 2 else ".")
avatar = Avatar.load(workspace / "export" / "avatar.npz")

# %% Without `trans` the avatar stays where it rests: Y up, facing +Z
posed = avatar.pose(a_pose())

# %% Cameras around it, front first; they are ordinary cameras with a place in the avatar's space
cameras = turntable(avatar, width=360, height=480, count=48)

# %% One pose, many cameras: only the drawing is done again
white = torch.ones(3)
with torch.no_grad():
    pictures = (posed.render(camera, background=white) for camera in cameras)
    frames = ((255 * picture).round().clamp(0, 255).byte().numpy() for picture in pictures)
    write_video(output / "02_turntable.mp4", frames, fps=24)
