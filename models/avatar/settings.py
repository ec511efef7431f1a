"""Everything that can be set about the joint optimisation, with the reasons in docs/method.md."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
Pace = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
Steps = Annotated[int, Field(ge=0, le=100_000)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Weights(_Section):
    """Weights of the loss terms; 0 switches a term off."""

    box: Weight = Field(default=0.02, description="alignment: the body's box against the mask's, robust")
    landmarks: Weight = Field(default=0.0, description="2D landmarks, robust; fades out over the joint phase")
    smoothness: Weight = Field(default=0.008, description="accelerations of the joints, robust")
    rotation_prior: Weight = Field(
        default=0.003, description="turn of each joint away from its start, robust"
    )
    ground: Weight = Field(default=0.005, description="standing on a plane and in balance, robust")
    shape_prior: Weight = Field(
        default=0.001, description="shape coefficients away from the start's, squared"
    )
    height: Weight = Field(default=1.0, description="the person's height, where it is known")
    rendered_smoothness: Weight = Field(
        default=1.5, description="factor on smoothness in the rendering phases"
    )
    rendered_priors: Weight = Field(default=0.2, description="factor on prior and landmarks in the same")
    distance_anchor: Weight = Field(
        default=30.0, description="the distance, in heights of the body, stays as the alignment left it"
    )
    l1: Weight = Field(default=1.0, description="colour, absolute differences")
    dssim: Weight = Field(default=0.2, description="colour, 1 - SSIM")
    silhouette: Weight = Field(default=4.0, description="squared differences of alpha and mask")
    depth: Weight = Field(default=20.0, description="depth maps, Huber")
    depth_points: Weight = Field(
        default=0.0, description="seen Gaussians against the depth maps' nearest points, Huber"
    )
    depth_relative: Weight = Field(default=0.35, description="factor on depth for maps without a scale")
    depth_low: Weight = Field(default=0.3, description="share of the depth's low frequencies, which lean")
    margin: Weight = Field(
        default=2000.0, description="point to mesh: distance beyond the cloth margin, squared"
    )
    laplacian: Weight = Field(default=200.0, description="offset against the mean of the neighbours'")
    color_laplacian: Weight = Field(default=0.02, description="colour against the mean of the neighbours'")
    offset: Weight = Field(default=1.0, description="squared offsets from the body")
    scale_bounds: Weight = Field(
        default=0.1, description="sizes outside the allowed range, squared logarithm"
    )
    coverage: Weight = Field(default=0.0, description="surface points without a Gaussian within the margin")
    flatness: Weight = Field(
        default=0.0, description="flat Gaussians: log(tangent / normal) towards log(tau)"
    )
    surface: Weight = Field(default=0.0, description="shortest axes along the surface's normals")


class Rates(_Section):
    """Adam's learning rates at the start of a phase; they fall to a tenth by a cosine."""

    rotation: Rate = Field(default=0.005, description="joint rotations, radians")
    direction: Rate = Field(default=0.003, description="the pelvis' x/z and y/z")
    distance: Rate = Field(default=0.005, description="the logarithm of the pelvis' z")
    shape: Rate = Field(default=0.003, description="shape coefficients")
    offset: Rate = Field(default=2e-4, description="offsets from the surface, metres")
    color: Rate = 0.03
    scale: Rate = Field(default=0.005, description="logarithms of sizes")
    turn: Rate = Field(default=0.002, description="the Gaussians' own quaternions")
    opacity: Rate = Field(default=0.02, description="logits")


class OptimiserSettings(_Section):
    """The joint optimisation of avatar and motion."""

    seed: Annotated[int, Field(ge=0)] = 0
    gaussians: Annotated[int, Field(ge=100, le=500_000)] = Field(default=5000, description="while poses move")
    final_gaussians: Annotated[int, Field(ge=100, le=2_000_000)] = Field(
        default=16_000,
        description="of the finished avatar; refined from `gaussians` for the appearance phase",
    )
    alignment_steps: Steps = Field(default=250, description="without rendering: boxes, landmarks, smoothness")
    silhouette_steps: Steps = Field(default=150, description="poses only, against the masks")
    joint_steps: Steps = Field(default=2400, description="poses and avatar together")
    appearance_steps: Steps = Field(default=500, description="the avatar alone, at the final resolution")
    person_pixels: Annotated[int, Field(ge=32, le=4096)] = Field(
        default=208, description="size of the person in the pictures while poses move"
    )
    final_person_pixels: Annotated[int, Field(ge=32, le=4096)] = Field(
        default=400, description="size of the person in the appearance phase"
    )
    frames_per_step: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1, description="of the rendering phases; several cost a GPU little more than one"
    )
    coarse_share: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.66, description="share of the joint phase at half resolution"
    )
    held_out: Annotated[float, Field(ge=0, le=0.2)] = Field(
        default=0.125, description="share of the frames kept from the avatar, to judge it by"
    )
    bridge_held_out: bool = Field(
        default=True, description="held-out frames get their neighbours' poses before they are fitted"
    )
    put_right: bool = Field(
        default=True,
        description="exchange left and right, or front and back, of initial poses where that moves better",
    )
    patience: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=4,
        description="checks of held-out frames, 50 steps apart, without gain till the avatar is done; 0: off",
    )
    warm_up_steps: Steps = Field(
        default=200, description="of the joint phase, until the motion moves at full pace"
    )
    kernel_seconds: Seconds = Field(
        default=0.05, description="width of the temporal kernel that pose updates are spread with"
    )
    wide_kernel_seconds: Seconds = Field(default=0.4, description="the same of a second, wide kernel")
    wide_pace: Pace = Field(
        default=0.8, description="factor on the motion's rates with the wide kernel; 0 switches it off"
    )
    clip_pace: Pace = Field(default=0.4, description="the same for turns that the whole clip shares")
    cloth_margin: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.04, description="metres, free of charge"
    )
    flatness_ratio: Annotated[float, Field(gt=0)] = Field(
        default=3.0, description="tau, tangent over normal size"
    )
    height: Annotated[float, Field(ge=0.5, le=2.8)] | None = Field(
        default=None, description="the person's height in metres, where known"
    )
    weights: Weights = Weights()
    rates: Rates = Rates()
