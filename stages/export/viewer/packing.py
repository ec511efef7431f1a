"""An avatar and its motions as the arrays that the viewer reads: little-endian, some of them quantised."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.avatar import Avatar
from models.body import BodyModel, Motion
from models.body.rotations import axis_angle_to_matrix
from models.body.skinning import forward_kinematics

Array = NDArray[Any]

INFLUENCES = 4
"""Joints that move a point; further ones weigh a few per cent at most."""

GAUSSIAN = np.dtype(
    [
        ("position", "<u2", 3),  # in the box of all of them
        ("scale_z", "<f2"),
        ("quaternion", "<i2", 4),  # wxyz, 32767 is 1
        ("scale_xy", "<f2", 2),  # standard deviations, metres
        ("color", "u1", 4),  # RGB and opacity
        ("joints", "u1", INFLUENCES),
        ("shares", "u1", INFLUENCES),  # of the joints, summing to 255
    ]
)
"""One Gaussian: 32 bytes, two texels of four unsigned integers."""


def pack_gaussians(avatar: Avatar) -> tuple[Array, Array]:
    """The finite ones of an avatar's Gaussians, as `GAUSSIAN`, and the (2,3) box of their centres, metres.

    Others have no picture; the renderer leaves them out as well. Of none the box is zeros.
    """
    means, scales = avatar.means.numpy(), avatar.log_scales.exp().numpy()
    quaternions, weights = avatar.quaternions.numpy(), avatar.weights.numpy()
    colors = np.concatenate([avatar.colors.numpy(), avatar.opacity_logits.sigmoid().numpy()[:, None]], 1)
    finite = np.isfinite(np.concatenate([means, scales, quaternions, weights, colors], 1)).all(1)
    means, scales, quaternions, weights, colors = (
        array[finite] for array in (means, scales, quaternions, weights, colors)
    )
    packed = np.zeros(len(means), GAUSSIAN)
    if not len(means):
        return packed, np.zeros((2, 3))
    low, high = means.min(0).astype(np.float64), means.max(0).astype(np.float64)
    packed["position"] = _quantised((means - low) / np.maximum(high - low, 1e-9), 65535)
    packed["quaternion"] = np.rint(
        32767 * quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)
    ).astype(np.int16)
    packed["scale_xy"], packed["scale_z"] = scales[:, :2], scales[:, 2]
    packed["color"] = _quantised(colors, 255)
    packed["joints"], packed["shares"] = strongest(weights)
    return packed, np.stack([low, high])


def strongest(weights: Array) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The strongest `INFLUENCES` of skinning weights (N,J): joints (N,4), the strongest first, and their
    shares (N,4) in 255ths, scaled to a sum of exactly 255."""
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :INFLUENCES]
    kept = np.take_along_axis(weights, joints, 1).astype(np.float64)
    exact = 255 * kept / kept.sum(1, keepdims=True)
    shares = np.floor(exact)
    # What rounding down has left goes to the largest remainders.
    rank = np.argsort(np.argsort(shares - exact, axis=1, kind="stable"), axis=1)
    shares += rank < (255 - shares.sum(1, keepdims=True))
    return joints.astype(np.uint8), shares.astype(np.uint8)


def joint_transforms(avatar: Avatar, motion: Motion) -> NDArray[np.float32]:
    """(T,24,3,4) of the avatar's joints, from its rest pose to the motion's camera space.

    The pelvis is where the motion has its own, whatever shape the motion's body has.
    """
    rotations = axis_angle_to_matrix(torch.from_numpy(motion.poses).reshape(len(motion), -1, 3))
    transforms = forward_kinematics(rotations, avatar.rest_joints, avatar.parents.tolist())[0].numpy()
    moved = transforms[:, :, :3].astype(np.float32)
    moved[..., 3] += avatar.trans_for(motion).numpy()[:, None]
    return moved


def body_arrays(avatar: Avatar, body: BodyModel) -> dict[str, Array]:
    """The surface of the avatar's body in its rest pose: `vertices` (V,3) metres, `faces` (3F,), and the
    vertices' `vertex_joints` and `vertex_shares` (V,4) as `strongest` gives them."""
    vertices = body.shape(avatar.betas)[0].numpy()
    joints, shares = strongest(body.weights.numpy())
    return {
        "vertices": vertices.astype("<f4"),
        "faces": body.faces.numpy().astype("<u4").reshape(-1),
        "vertex_joints": joints,
        "vertex_shares": shares,
    }


def contained(arrays: Mapping[str, Array]) -> tuple[dict[str, dict[str, int]], str]:
    """Arrays one after another in base64, and by name where each begins and how many bytes it has."""
    places, parts, start = {}, [], 0
    for name, array in arrays.items():
        content = array.tobytes()
        places[name] = {"start": start, "bytes": len(content)}
        parts.append(content + bytes(-len(content) % 4))  # each begins at a multiple of four
        start += len(parts[-1])
    return places, base64.b64encode(b"".join(parts)).decode()


def _quantised(shares: Array, steps: int) -> Array:
    return np.rint(np.clip(shares, 0, 1) * steps)
