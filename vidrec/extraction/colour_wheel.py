"""Optical flow as colours, for people to look at."""

import numpy as np


def flow_colours(flow, *, largest):
    """Colours a flow field: the hue is the direction of motion, the saturation its length.

    This is the plain HSV wheel with full value, and not the 55-colour wheel of the Middlebury
    benchmark, so its pictures are not to be compared with that benchmark's. White is no motion. At
    full saturation motion to the right is red (hue 0 degrees), down yellow-green (90), to the left
    cyan (180), up violet (270), as in OpenCV's samples: v is positive downwards.

    Args:
        flow: float (H, W, 2), px: u (positive to the right), v (positive downwards).
        largest: float > 0, px, the length from which on the saturation is full.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        ValueError: if `flow` has another shape, is not of floats or has a value that is not finite
            (there is no colour for an unknown motion), or `largest` is outside its range.
    """
    flow = np.asarray(flow)
    if flow.ndim != 3 or flow.shape[2] != 2 or not np.issubdtype(flow.dtype, np.floating):
        raise ValueError(
            "`flow` must be floats of shape (H, W, 2), in px; `vidrec.clip.decode_flow` makes them "
            f"of 8-bit codes. Received: {flow.dtype} {flow.shape}"
        )
    if not 0 < largest < np.inf:
        raise ValueError(f"`largest` must be > 0 px and finite. Received: largest={largest!r}")
    if not np.isfinite(flow).all():
        raise ValueError(
            "`flow` must be finite. "
            f"Received: {np.count_nonzero(~np.isfinite(flow))} of {flow.size} values NaN or Inf"
        )
    # Not cv2.cvtColor: its single precision is off by one level where a colour is half a level.
    u, v = np.moveaxis(flow.astype(np.float64), 2, 0)
    saturation = np.minimum(np.hypot(u, v), largest) / largest
    sector = np.degrees(np.arctan2(v, u)) % 360 / 60  # 0 red, 1 yellow, 2 green, ..., 5 magenta
    pure = np.stack([np.abs(sector - 3) - 1, 2 - np.abs(sector - 2), 2 - np.abs(sector - 4)], -1)
    return np.rint(255 * (1 - saturation[..., None] * (1 - pure.clip(0, 1)))).astype(np.uint8)


def wheel(size):
    """The legend of `flow_colours`: at each place the colour of motion from the centre to there.

    Args:
        size: int >= 1, px.

    Returns:
        uint8 (size, size, 3), RGB. The rim of the disc is motion of length `largest`, its centre no
        motion; what is outside it is white.

    Raises:
        ValueError: if `size` is no integer >= 1.
    """
    if not isinstance(size, int | np.integer) or size < 1:
        raise ValueError(f"`size` must be an integer >= 1. Received: size={size!r}")
    place = (2 * np.arange(size) + 1 - size) / size  # of the pixels' centres, -1 to 1
    flow = np.stack(np.meshgrid(place, place), axis=-1)
    flow[np.hypot(flow[..., 0], flow[..., 1]) > 1] = 0
    return flow_colours(flow, largest=1.0)
