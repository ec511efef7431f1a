"""Load an avatar and draw it as the video's camera saw it.

    python examples/01_load_and_render.py clip.hsplat [OUTPUT_FOLDER]

Writes 01_front.png (transparent) and 01_side.png.
"""

# %% What to read and where to write
import sys
from pathlib import Path

import numpy as np
import torch

from models import gpu
from models.avatar import Avatar
from models.body import Motion
from models.body.posture import up_axis
from stages.images import write_image
from stages.render import straight

workspace = Path(sys.argv[1])
output = Path(sys.argv[2] if len(sys.argv) > 2 else ".")
device = "cpu" if gpu.lack() else "cuda"

# %% An avatar and a motion; each is one file that needs nothing else of the workspace
avatar = Avatar.load(workspace / "export" / "avatar.npz").to(device)
motion = Motion.load(workspace / "export" / "motion.npz")
print(f"{len(avatar):,} Gaussians, {len(motion)} frames at {motion.fps:g} a second")

# %% One pose: axis-angle of 24 joints, and its place in camera space (x right, y down, z forward; metres)
frame = int(np.flatnonzero(motion.valid)[0])
posed = avatar.pose(motion.poses[frame], avatar.trans_for(motion)[frame])

# %% A picture: (H, W, 4), colour premultiplied by alpha
camera = motion.camera().resized(480, 640)
with torch.no_grad():
    picture = posed.render(camera)
write_image(output / "01_front.png", straight(picture.cpu()))

# %% From the side, over grey: the camera goes around the pelvis, about the person's upward direction
pelvis = motion.pelvis(avatar.rest_joints[0].cpu())[frame]
aside = camera.orbited(pelvis, up_axis(motion), np.pi / 2)
with torch.no_grad():
    picture = posed.render(aside, background=torch.tensor([0.9, 0.9, 0.9]))
write_image(output / "01_side.png", (255 * picture.cpu()).round().clamp(0, 255).byte().numpy())
