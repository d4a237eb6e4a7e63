"""Random changes of a clip, the same for all its images, and the fixed crop used in evaluation.

The paper's set (Qiao et al. 2021, section 3.2): crop of random size, left-right flip, up-down
flip, brightness. Pure functions of a clip {"rgb": uint8 (T, H, W, 3), "flow": uint8 (T, H, W, 2L)}
(either key may be missing), of drawn numbers, and of nothing else.
"""

import dataclasses

import tensorflow as tf

SCOPES = ("video", "segment")
FLOW_FLIPS = ("negate", "image_only")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What `augment` draws from. Decisions 24 to 27 of the specification.

    Attributes:
        crop_range: (low, high) in (0, 1], side of the square crop as a part of the short side.
        flip_lr, flip_ud: float in [0, 1], probability of a left-right and of an up-down flip.
        brightness: float in [0, 1], largest change as a part of the full range; RGB only, since
            on flow it would be a false motion of the whole image.
        flow_flip: "negate" turns the mirrored component round, as mirrored motion is;
            "image_only" mirrors the image and leaves the codes, for the literal reading.
        scope: "video" draws once for all segments, "segment" once for each.

    Raises:
        ValueError: if a value is outside its range.
    """

    crop_range: tuple[float, float] = (0.66, 1.0)
    flip_lr: float = 0.5
    flip_ud: float = 0.5
    brightness: float = 0.2
    flow_flip: str = "negate"
    scope: str = "video"

    def __post_init__(self):
        low, high = self.crop_range
        if not 0 < low <= high <= 1:
            raise ValueError(
                "`crop_range` must be (low, high) with 0 < low <= high <= 1. "
                f"Received: crop_range={self.crop_range}"
            )
        for name in ("flip_lr", "flip_ud", "brightness"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"`{name}` must be in [0, 1]. Received: {name}={getattr(self, name)}"
                )
        if self.flow_flip not in FLOW_FLIPS:
            raise ValueError(
                f"`flow_flip` must be one of {FLOW_FLIPS}. Received: flow_flip={self.flow_flip!r}"
            )
        if self.scope not in SCOPES:
            raise ValueError(f"`scope` must be one of {SCOPES}. Received: scope={self.scope!r}")


def augment(clip, spec, options, seed):
    """Crops, flips and brightens a clip, and brings it to the network's size.

    Args:
        clip: dict of uint8 (T, H, W, C).
        spec: ClipSpec.
        options: Augmentation.
        seed: int32 (2,), the only source of randomness.

    Returns:
        dict of uint8 (T, size, size, C).
    """
    if options.scope == "video":
        return _augment_alike(clip, spec.size, options, tf.random.stateless_uniform([6], seed))
    draws = tf.random.stateless_uniform([spec.segments, 6], seed)
    m = spec.frames_per_segment
    parts = [
        _augment_alike(
            {name: images[k * m : (k + 1) * m] for name, images in clip.items()},
            spec.size,
            options,
            draws[k],
        )
        for k in range(spec.segments)
    ]
    return {name: tf.concat([part[name] for part in parts], axis=0) for name in clip}


def _augment_alike(clip, size, options, uniform):
    height, width = _height_width(clip)
    box = random_square(height, width, options.crop_range, uniform[:3])
    clip = {name: crop_and_resize(images, box, size) for name, images in clip.items()}
    negate = options.flow_flip == "negate"
    clip = _either(uniform[3] < options.flip_lr, lambda c: flip_left_right(c, negate=negate), clip)
    clip = _either(uniform[4] < options.flip_ud, lambda c: flip_up_down(c, negate=negate), clip)
    if "rgb" in clip and options.brightness:
        change = options.brightness * (2 * uniform[5] - 1)
        clip = {**clip, "rgb": adjust_brightness(clip["rgb"], change)}
    return clip


def random_square(height, width, crop_range, uniform):
    """A square of random size at a random place.

    Args:
        height, width: integer scalars, px.
        crop_range: (low, high) in (0, 1], of the short side.
        uniform: float32 (3,) in [0, 1): size, vertical place, horizontal place.

    Returns:
        int32 (3,): top, left, side, px, inside the image.
    """
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    low, high = crop_range
    share = low + (high - low) * uniform[0]
    side = tf.maximum(tf.round(share * tf.minimum(height, width)), 1)
    top = tf.floor(uniform[1] * (height - side + 1))
    left = tf.floor(uniform[2] * (width - side + 1))
    return tf.cast(tf.stack([top, left, side]), tf.int32)


def crop_and_resize(images, box, size):
    """Cuts the square `box` (top, left, side) out of uint8 (T, H, W, C), bilinear to `size` px."""
    top, left, side = tf.unstack(box)
    images = images[:, top : top + side, left : left + side]
    return _resize(images, [size, size])


def centre_crop(clip, size, *, short_side=None):
    """The evaluation's view: short side to `short_side`, then the central square of `size` px.

    Args:
        clip: dict of uint8 (T, H, W, C).
        size: int, px.
        short_side: int >= size, px, or None for round(size * 256 / 224).

    Returns:
        dict of uint8 (T, size, size, C).

    Raises:
        ValueError: if `short_side` is less than `size`.
    """
    short_side = round(size * 256 / 224) if short_side is None else short_side
    if short_side < size:
        raise ValueError(
            f"`short_side` must be at least `size`. Received: short_side={short_side}, size={size}"
        )
    height, width = _height_width(clip)
    scale = short_side / tf.minimum(height, width)
    new = tf.cast(tf.round(tf.cast(tf.stack([height, width]), tf.float64) * scale), tf.int32)
    top, left = (new[0] - size) // 2, (new[1] - size) // 2
    return {
        name: _resize(images, new)[:, top : top + size, left : left + size]
        for name, images in clip.items()
    }


def flip_left_right(clip, *, negate=True):
    """Mirrors all images; u, the horizontal displacement, becomes 255 - code."""
    return _flip(clip, axis=2, component=0, negate=negate)


def flip_up_down(clip, *, negate=True):
    """Turns all images upside down; v, the vertical displacement, becomes 255 - code."""
    return _flip(clip, axis=1, component=1, negate=negate)


def adjust_brightness(images, change):
    """Adds `change`, a part of the full range in [-1, 1], to uint8 images; clipped to 0..255."""
    moved = tf.cast(images, tf.float32) + 255.0 * change
    return tf.cast(tf.round(tf.clip_by_value(moved, 0.0, 255.0)), tf.uint8)


def _flip(clip, axis, component, negate):
    flipped = {name: tf.reverse(images, [axis]) for name, images in clip.items()}
    if negate and "flow" in flipped:
        flow = flipped["flow"]
        turned = tf.range(tf.shape(flow)[-1]) % 2 == component
        flipped["flow"] = tf.where(turned, 255 - flow, flow)
    return flipped


def _either(condition, change, clip):
    return tf.cond(condition, lambda: change(clip), lambda: clip)


def _height_width(clip):
    shape = tf.shape(next(iter(clip.values())))
    return shape[1], shape[2]


def _resize(images, size):
    resized = tf.image.resize(images, size, method="bilinear", antialias=False)
    return tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8)
