"""Random changes of a clip, the same for all its images.

Crop, flips, brightness and colour. Those of Qiao et al. 2021 (section 3.2) are the default. Pure
functions of a clip {"rgb": uint8 (T, H, W, 3), "flow": uint8 (T, H, W, 2L)}
(either key may be missing), of drawn numbers, and of nothing else.
"""

import dataclasses

import tensorflow as tf

from vidrec.pipeline import crops
from vidrec.pipeline.decoding import Encoded

CROPS = ("square", "corners", "centre")
SCOPES = ("video", "segment")
FLOW_FLIPS = ("negate", "image_only")
U, V = (255, 0), (0, 255)  # masks of a pair of codes
DRAWS = 9  # of a clip: three of the crop, two flips, brightness, contrast, saturation, hue


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What `augment` draws from. Decisions 24 to 27 of the specification.

    Attributes:
        crop: "square" of random size and place; "corners", TSN's multi-scale crop at corners and
            centre; "centre", the largest square, always alike (VCM-SDD).
        crop_range: (low, high) in (0, 1], side of the square crop as a part of the short side.
        scales: sequence of float in (0, 1], falling, sides of the corner crop likewise.
        offsets: 5 or 13, the places of the corner crop.
        resize: (height, width), px, that images are scaled to before the crop, or None.
        flip_lr, flip_ud: float in [0, 1], probability of a left-right and of an up-down flip.
        brightness: float in [0, 1], largest change as a part of the full range; RGB only, since
            on flow it would be a false motion of the whole image.
        contrast, saturation: float in [0, 1), factors are drawn from 1 - x to 1 + x; hue: float in
            [0, 0.5], largest turn as a part of the circle. RGB only.
        flow_flip: "negate" turns the mirrored component round, as mirrored motion is;
            "image_only" mirrors the image and leaves the codes, for the literal reading.
        scope: "video" draws once for all segments, "segment" once for each.

    Raises:
        ValueError: if a value is outside its range.
    """

    crop: str = "square"
    crop_range: tuple[float, float] = (0.66, 1.0)
    scales: tuple[float, ...] = (1, 0.875, 0.75, 0.66)
    offsets: int = 5
    resize: tuple[int, int] | None = None
    flip_lr: float = 0.5
    flip_ud: float = 0.5
    brightness: float = 0.2
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    flow_flip: str = "negate"
    scope: str = "video"

    def __post_init__(self):
        low, high = self.crop_range
        if not 0 < low <= high <= 1:
            raise ValueError(
                "`crop_range` must be (low, high) with 0 < low <= high <= 1. "
                f"Received: crop_range={self.crop_range}"
            )
        limits = dict.fromkeys(("flip_lr", "flip_ud", "brightness", "contrast", "saturation"), 1)
        for name, limit in (limits | {"hue": 0.5}).items():
            if not 0 <= getattr(self, name) <= limit:
                raise ValueError(
                    f"`{name}` must be in [0, {limit}]. Received: {name}={getattr(self, name)}"
                )
        choices = {"crop": CROPS, "offsets": tuple(crops.OFFSETS), "flow_flip": FLOW_FLIPS}
        for name, known in (choices | {"scope": SCOPES}).items():
            if getattr(self, name) not in known:
                raise ValueError(
                    f"`{name}` must be one of {known}. Received: {name}={getattr(self, name)!r}"
                )
        falling = all(a > b for a, b in zip(self.scales, self.scales[1:], strict=False))
        if not self.scales or not falling or not 0 < self.scales[-1] <= self.scales[0] <= 1:
            raise ValueError(
                f"`scales` must fall and lie in (0, 1]. Received: scales={self.scales}"
            )

    def box(self, height, width, size, uniform):
        """The part of images of height, width px that is taken, as a box (`vidrec.pipeline.crops`).

        `uniform`: float32 (3,), draws in [0, 1); `size`: int, px, of the network's input.
        """
        if self.crop == "square":
            return crops.random_square(height, width, self.crop_range, uniform)
        if self.crop == "centre":
            return crops.centre_square(height, width)
        options = {"scales": self.scales, "offsets": self.offsets}
        return crops.corner_crop(height, width, size, uniform[:2], **options)

    def largest(self, height, width):
        """The longest side that a box of such images may have: int32 scalar, px."""
        share = self.crop_range[1] if self.crop == "square" else 1.0
        side = tf.round(share * tf.cast(tf.minimum(height, width), tf.float32))
        return tf.maximum(tf.cast(side, tf.int32), 1)


def augment(clip, spec, options, seed):
    """Crops, flips and brightens a clip, and brings it to the network's size.

    Args:
        clip: dict of uint8 (T, H, W, C), or `decoding.Encoded`, of which only the crop is decoded.
        spec: ClipSpec.
        options: Augmentation.
        seed: int32 (2,), the only source of randomness.

    Returns:
        dict of uint8 (T, size, size, C).
    """
    if options.resize is not None:
        whole = clip.decode() if isinstance(clip, Encoded) else clip
        clip = {name: crops.resize(images, options.resize) for name, images in whole.items()}
    if options.scope == "video":
        return _augment_alike(clip, spec.size, options, tf.random.stateless_uniform([DRAWS], seed))
    draws = tf.random.stateless_uniform([spec.segments, DRAWS], seed)
    m = spec.frames_per_segment
    parts = [
        _augment_alike(_part(clip, k * m, (k + 1) * m), spec.size, options, draws[k])
        for k in range(spec.segments)
    ]
    return {name: tf.concat([part[name] for part in parts], axis=0) for name in parts[0]}


def _part(clip, low, high):
    if isinstance(clip, Encoded):
        return clip.part(low, high)
    return {name: images[low:high] for name, images in clip.items()}


def _augment_alike(clip, size, options, uniform):
    if isinstance(clip, Encoded):
        shape = clip.height_width()
        clip = clip.decode(options.box(*shape, size, uniform[:3]), shape=shape, size=size)
    else:
        clip = crops.cut(clip, options.box(*crops.height_width(clip), size, uniform[:3]))
        clip = {name: crops.resize(images, [size, size]) for name, images in clip.items()}
    negate = options.flow_flip == "negate"
    clip = _either(uniform[3] < options.flip_lr, lambda c: flip_left_right(c, negate=negate), clip)
    clip = _either(uniform[4] < options.flip_ud, lambda c: flip_up_down(c, negate=negate), clip)
    if "rgb" in clip:
        clip = {**clip, "rgb": _adjust(clip["rgb"], options, 2 * uniform[5:] - 1)}
    return clip


def _adjust(images, options, draws):
    """Brightness and colour of uint8 (T, H, W, 3), by draws in [-1, 1)."""
    if options.brightness:
        images = adjust_brightness(images, options.brightness * draws[0])
    if options.contrast:
        images = adjust_contrast(images, 1 + options.contrast * draws[1])
    if options.saturation:
        images = tf.image.adjust_saturation(images, 1 + options.saturation * draws[2])
    if options.hue:
        images = tf.image.adjust_hue(images, options.hue * draws[3])
    return images


def flip_left_right(clip, *, negate=True):
    """Mirrors all images; u, the horizontal displacement, becomes 255 - code."""

    def mirror(images):  # by copies of pixels, twice as fast as tf.reverse
        return tf.gather(images, tf.range(tf.shape(images)[2] - 1, -1, -1), axis=2)

    return _flip(clip, mirror, U if negate else None)


def flip_up_down(clip, *, negate=True):
    """Turns all images upside down; v, the vertical displacement, becomes 255 - code."""

    def turn(images):  # by copies of rows
        return tf.gather(images, tf.range(tf.shape(images)[1] - 1, -1, -1), axis=1)

    return _flip(clip, turn, V if negate else None)


def adjust_brightness(images, change):
    """Adds `change`, a part of the full range in [-1, 1], to uint8 images; clipped to 0..255."""
    return crops.to_uint8(tf.cast(images, tf.float32) + 255.0 * change)


def adjust_contrast(images, factor):
    """Stretches uint8 images (T, H, W, C) about the mean of each channel over all of them."""
    values = tf.cast(images, tf.float32)
    mean = tf.reduce_mean(values, axis=[0, 1, 2])
    return crops.to_uint8(mean + factor * (values - mean))


def _flip(clip, mirror, mask):
    """`mask`: the bits of u and v to invert, which makes 255 - code; or None."""
    flipped = {name: mirror(images) for name, images in clip.items()}
    if mask is not None and "flow" in flipped:
        flow = flipped["flow"]
        pairs = tf.bitcast(tf.reshape(flow, [-1, 2]), tf.uint16)
        mask = tf.bitcast(tf.constant(mask, tf.uint8), tf.uint16)
        turned = tf.bitcast(tf.bitwise.bitwise_xor(pairs, mask), tf.uint8)
        flipped["flow"] = tf.reshape(turned, tf.shape(flow))
    return flipped


def _either(condition, change, clip):
    return tf.cond(condition, lambda: change(clip), lambda: clip)
