"""What a clip is: the one contract that the input pipeline and every model share.

A clip is a dict of uint8 arrays with one time axis, T = segments * frames_per_segment:

    "rgb"   (T, H, W, 3)   colour in RGB order, 0 to 255
    "flow"  (T, H, W, 2L)  flow codes, channels u1, v1, u2, v2, ..., uL, vL, oldest pair first

A flow code is an 8-bit displacement: u is positive to the right, v is positive downwards, in pixels
between two consecutive frames. Code 128 means no motion.
"""

import dataclasses

import numpy as np

MODALITIES = ("rgb", "flow")
FLOW_POSITIONS = ("start", "centre")
FLOW_BOUND = 20.0  # px; what dense_flow and TSN clip at
FLOW_ZERO = 128  # the code of 0 px: 127.5 rounded half to even
QUANTIZERS = ("bound", "minmax")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipSpec:
    """The clip that a model takes and that the pipeline makes.

    Attributes:
        segments: int >= 1, K. The video is cut into K equal parts and each is sampled.
        frames_per_segment: int >= 1. T = segments * frames_per_segment.
        size: int >= 1, H = W of the network's input, px.
        modalities: tuple, ("rgb",), ("flow",) or ("rgb", "flow").
        flow_length: int >= 1, L, consecutive flow pairs stacked per time step: 2L channels.
        flow_position: "start" if the L pairs begin at the RGB frame, "centre" if they surround it.
        flow_step: int >= 1, distance in pairs between two stacked pairs.

    Raises:
        ValueError: if a value is outside its range.
    """

    segments: int = 3
    frames_per_segment: int = 1
    size: int = 224
    modalities: tuple[str, ...] = MODALITIES
    flow_length: int = 10
    flow_position: str = "start"
    flow_step: int = 1

    def __post_init__(self):
        for name in ("segments", "frames_per_segment", "size", "flow_length", "flow_step"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` must be an integer >= 1. Received: {name}={value!r}")
        object.__setattr__(self, "modalities", tuple(self.modalities))
        if self.modalities not in (("rgb",), ("flow",), MODALITIES):
            raise ValueError(
                "`modalities` must be ('rgb',), ('flow',) or ('rgb', 'flow'). "
                f"Received: modalities={self.modalities!r}"
            )
        if self.flow_position not in FLOW_POSITIONS:
            raise ValueError(
                f"`flow_position` must be one of {FLOW_POSITIONS}. "
                f"Received: flow_position={self.flow_position!r}"
            )

    @property
    def frames(self):
        """T, the length of the clip's time axis."""
        return self.segments * self.frames_per_segment

    @property
    def flow_span(self):
        """Number of consecutive flow pairs that one stack reaches over."""
        return (self.flow_length - 1) * self.flow_step + 1

    def channels(self, modality):
        """C of one modality: 3 for "rgb", 2L for "flow"."""
        return {"rgb": 3, "flow": 2 * self.flow_length}[modality]

    def shape(self, modality):
        """(T, H, W, C) of one modality."""
        return (self.frames, self.size, self.size, self.channels(modality))

    def only(self, modality):
        """The same clip with a single modality."""
        return dataclasses.replace(self, modalities=(modality,))


def encode_flow(flow, *, bound=FLOW_BOUND, quantize="bound"):
    """Displacements in pixels to 8-bit codes (Qiao et al. 2021, section 3.1, step 4).

    Args:
        flow: float array of any shape, px. For "minmax", one field (H, W) or (H, W, 2).
        bound: float > 0, px. Displacements beyond it are clipped.
        quantize: "bound" maps [-bound, bound] to 0..255, the same map for every field, so that
            equal codes mean equal motion. "minmax" maps each component's own range to 0..255.

    Returns:
        uint8 array of the same shape. With "bound", 0 px is 128 and a code is 2 * bound / 255 px.

    Raises:
        ValueError: if `flow` has a value that is not finite, or an option is outside its range.
    """
    if quantize not in QUANTIZERS:
        raise ValueError(f"`quantize` must be one of {QUANTIZERS}. Received: quantize={quantize!r}")
    if not bound > 0:
        raise ValueError(f"`bound` must be > 0 px. Received: bound={bound!r}")
    flow = np.asarray(flow, dtype=np.float32)
    if not np.isfinite(flow).all():
        raise ValueError(
            "`flow` must be finite. "
            f"Received: {np.count_nonzero(~np.isfinite(flow))} of {flow.size} values NaN or Inf"
        )
    if quantize == "minmax":
        low = flow.min(axis=(0, 1), keepdims=True)
        extent = np.maximum(flow.max(axis=(0, 1), keepdims=True) - low, np.float32(1e-12))
        return np.rint(255 * (flow - low) / extent).astype(np.uint8)
    return np.rint(255 * (np.clip(flow, -bound, bound) + bound) / (2 * bound)).astype(np.uint8)


def decode_flow(codes, *, bound=FLOW_BOUND):
    """The inverse of `encode_flow(..., quantize="bound")` to half a code: uint8 to float32 px.

    Code 128, which stands for 0 to 1 code, gives exactly 0, so that still pixels stay still.
    """
    codes = np.asarray(codes)
    pixels = codes.astype(np.float32) * np.float32(2 * bound / 255) - np.float32(bound)
    return np.where(codes == FLOW_ZERO, np.float32(0), pixels)
