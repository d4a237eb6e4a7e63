"""Scales, flips and colours the crops of a batch, on the device on which the batch is.

Most of the processor's time for a clip goes into scaling its crops, not into decoding them. With a
GPU and few cores, the pipeline therefore hands over what it has decoded, and the training step does
the rest: each crop is multiplied by two matrices of interpolation weights, which scale and flip it.
The clip is that of `augmentation.augment` to one code: the same arithmetic, in another order.
"""

import tensorflow as tf

from vidrec.pipeline.augmentation import DRAWS


def check_options(options):
    """Refuses augmentation that only the pipeline can do.

    Raises:
        ValueError: naming it.
    """
    for name, wanted in {"scope": "video", "resize": None, "saturation": 0, "hue": 0}.items():
        value = getattr(options, name)
        if value != wanted:
            raise ValueError(
                f"Clips that are finished on the device must have {name}={wanted!r}; or let the "
                f"pipeline finish them. Received: {name}={value!r}"
            )


def hand_over(clip, spec, options, seed):
    """Crops of a clip as they were decoded, with what else `finish` needs.

    Args:
        clip: decoding.Encoded.
        spec: ClipSpec.
        options: Augmentation that `check_options` lets pass.
        seed: int32 (2,), the only source of randomness.

    Returns:
        dict of "rgb" uint8 (T, h, w, 3) and/or "flow" uint8 (T, 2L, h, w), the crop, filled up with
        zeros at the bottom and right to the square that holds every crop of images of that size, so
        that the training step sees one size; "sides", int32 (2,), height and width of the crop;
        "draws", float32, in [0, 1).
    """
    draws, shape = tf.random.stateless_uniform([DRAWS], seed), clip.height_width()
    box = options.box(*shape, spec.size, draws[:3])
    fill = [[0, 0], *([0, side] for side in tf.unstack(options.largest(*shape) - box[2:]))]
    clip = clip.decode_planes(box, shape=shape)
    if "rgb" in clip:
        clip["rgb"] = tf.pad(clip["rgb"], [*fill, [0, 0]])
    if "flow" in clip:
        clip["flow"] = tf.pad(clip["flow"], [[0, 0], *fill])
    return {**clip, "sides": box[2:], "draws": draws[3:]}


def finish(batch, size, options):
    """Clips from a batch of what `hand_over` gave, its crops filled up with anything to one size.

    Args:
        batch: dict of (B, ...); one without "draws" is finished already, and given back.
        size: int, S, px.
        options: Augmentation.

    Returns:
        dict of uint8 (B, T, S, S, C), see `vidrec.clip`.
    """
    if "draws" not in batch:
        return batch
    lr, ud, brightness, contrast, *_ = tf.unstack(batch["draws"], axis=1)
    lr, ud = lr < options.flip_lr, ud < options.flip_ud
    clip = {}
    if "rgb" in batch:
        images = tf.transpose(batch["rgb"], [0, 1, 4, 2, 3])
        images = _scale(images, batch["sides"], size, lr, ud)
        images = _round(images)  # each step ends in codes, as in `augment`
        if options.brightness:
            images = _round(images + 255 * options.brightness * _column(2 * brightness - 1))
        if options.contrast:
            mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
            factor = 1 + options.contrast * _column(2 * contrast - 1)
            images = _round(mean + factor * (images - mean))
        clip["rgb"] = images
    if "flow" in batch:
        codes = _round(_scale(batch["flow"], batch["sides"], size, lr, ud))
        if options.flow_flip == "negate":
            turned = tf.tile(tf.stack([lr, ud], axis=1), [1, codes.shape[-1] // 2])
            codes = tf.where(turned[:, None, None, None], 255 - codes, codes)
        clip["flow"] = codes
    return {name: tf.cast(images, tf.uint8) for name, images in clip.items()}


def _scale(images, sides, size, lr, ud):
    """The top left `sides`, (B, 2), of uint8 (B, T, C, H, W) to float32 (B, T, S, S, C)."""
    height, width = images.shape[3] or tf.shape(images)[3], images.shape[4] or tf.shape(images)[4]
    rows = _weights(sides[:, 0], height, size, ud)
    columns = _weights(sides[:, 1], width, size, lr)
    tall = tf.einsum("bsh,btchw->btcsw", rows, tf.cast(images, tf.float32))
    return tf.einsum("bzw,btcsw->btszc", columns, tall)


def _weights(side, length, size, flip):
    """Of the bilinear interpolation, with half-pixel centres, from the first `side`, (B,), of
    `length` pixels to S pixels: float32 (B, S, length)."""
    side = tf.cast(side, tf.float32)[:, None]
    places = (tf.range(size, dtype=tf.float32) + 0.5) * (side / size) - 0.5
    places = tf.clip_by_value(places, 0.0, side - 1)
    places = tf.where(flip[:, None], places[:, ::-1], places)
    pixels = tf.range(length, dtype=tf.float32)
    return tf.maximum(1 - tf.abs(places[:, :, None] - pixels), 0.0)


def _round(values):
    return tf.round(tf.clip_by_value(values, 0.0, 255.0))


def _column(values):
    return tf.reshape(values, [-1, 1, 1, 1, 1])
