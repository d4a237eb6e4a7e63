"""Which part of the images a network sees: a random one in training, fixed ones in a test.

A box is int32 (4,): top, left, height, width, px, inside the image. It is chosen from the size of
the images alone, before anything is decoded. Clips are dicts of uint8 (T, H, W, C), see
`vidrec.clip`; all images of a clip are cut alike.
"""

import tensorflow as tf

OFFSETS = {  # (row, column) in quarters of the room that a crop leaves
    5: ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2)),
    13: ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2), (2, 0), (2, 4), (4, 2), (0, 2), (1, 1), (1, 3),
         (3, 1), (3, 3)),
}  # fmt: skip
CENTRAL = {1: 0, 5: 4, 10: 4}  # which of so many views is the one in the middle, see `views`
SNAP = 3  # px; a scaled side that is nearer than that to the network's size is taken to be it


def random_square(height, width, crop_range, uniform):
    """A square of random size at a random place (Qiao et al. 2021, section 3.2).

    Args:
        height, width: integer scalars, px.
        crop_range: (low, high) in (0, 1], of the short side.
        uniform: float32 (3,) in [0, 1): size, vertical place, horizontal place.

    Returns:
        int32 (4,), a box.
    """
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    low, high = crop_range
    share = low + (high - low) * uniform[0]
    side = tf.maximum(tf.round(share * tf.minimum(height, width)), 1)
    top = tf.floor(uniform[1] * (height - side + 1))
    left = tf.floor(uniform[2] * (width - side + 1))
    return tf.cast(tf.stack([top, left, side, side]), tf.int32)


def corner_crop(height, width, size, uniform, *, scales=(1, 0.875, 0.75, 0.66), offsets=5):
    """TSN's multi-scale crop (T-STAM, section 4.1; decision 24 of its specification).

    Height and width are drawn from the short side times `scales`, at most one step apart, and the
    place from the corners and the centre, or from 13 places.

    Args:
        height, width: integer scalars, px.
        size: int, of the network's input, px.
        uniform: float32 (2,) in [0, 1): sides, place.
        scales: sequence of float in (0, 1], falling.
        offsets: 5 or 13.

    Returns:
        int32 (4,), a box.
    """
    base = tf.cast(tf.minimum(height, width), tf.float32)
    sides = tf.maximum(tf.cast(base * tf.constant(scales, tf.float32), tf.int32), 1)
    fits = (tf.abs(sides - size) < SNAP) & (size <= tf.cast(base, tf.int32))
    sides = tf.where(fits, size, sides)
    steps = range(len(scales))
    pairs = [(i, j) for i in steps for j in steps if abs(i - j) <= 1]
    sides = tf.gather(sides, _choose(pairs, uniform[0]))
    room = tf.stack([height, width]) - sides
    place = _choose(OFFSETS[offsets], uniform[1]) * (room // 4)
    return tf.concat([place, sides], axis=0)


def centre_square(height, width):
    """The largest square, in the middle, as a box."""
    height, width = tf.cast(height, tf.int32), tf.cast(width, tf.int32)
    side = tf.minimum(height, width)
    return tf.stack([(height - side) // 2, (width - side) // 2, side, side])


def cut(clip, box):
    """The part of a clip's images in a box: dict of uint8 (T, height, width, C)."""
    top, left, height, width = tf.unstack(box)
    return {
        name: images[:, top : top + height, left : left + width] for name, images in clip.items()
    }


def centre_crop(clip, size, *, short_side=None, to=None):
    """The usual view in a test: scaled, then the central square of `size` px.

    Args:
        clip: dict of uint8 (T, H, W, C).
        size: int, px.
        short_side: int >= size, px, that the short side is scaled to, or None for
            round(size * 256 / 224).
        to: (height, width) >= size, px, that images are scaled to instead, whatever their shape
            (T-STAM: 240 x 320; VCM-SDD: 256 x 256), or None.

    Returns:
        dict of uint8 (T, size, size, C).

    Raises:
        ValueError: if the scaled images are smaller than `size`.
    """
    return {
        name: _cut(images, [(2, 2)], size)[0]
        for name, images in _scaled(clip, size, short_side, to).items()
    }


def ten_crop(clip, size, *, short_side=None, to=None, flip=None):
    """Ten views of a clip: four corners and the centre, then the same mirrored (TSN; T-STAM 4.2).

    Args:
        clip, size, short_side, to: as `centre_crop`.
        flip: function that mirrors a clip left to right, such as `augmentation.flip_left_right`,
            or None for the five views alone.

    Returns:
        dict of uint8 (10, T, size, size, C), or (5, T, size, size, C).
    """
    scaled = _scaled(clip, size, short_side, to)
    views = [scaled] if flip is None else [scaled, flip(scaled)]
    return {
        name: tf.concat([_cut(view[name], OFFSETS[5], size) for view in views], axis=0)
        for name in clip
    }


def views(clip, size, count, *, short_side=None, to=None, flip=None):
    """The views of a clip in a test.

    Args:
        clip, size, short_side, to: as `centre_crop`.
        count: 1 for the central one; 5 or 10, see `ten_crop`.
        flip: function that mirrors a clip left to right; of 10 views.

    Returns:
        dict of uint8 (count, T, size, size, C).
    """
    scaling = {"short_side": short_side, "to": to}
    if count > 1:
        return ten_crop(clip, size, **scaling, flip=flip if count == 10 else None)
    return {name: x[None] for name, x in centre_crop(clip, size, **scaling).items()}


def resize(images, size):
    """Bilinear, uint8 to uint8, without antialiasing."""
    return to_uint8(tf.image.resize(images, size, method="bilinear", antialias=False))


def to_uint8(values):
    """float32 of any shape to uint8: clipped to 0..255, then rounded, half to even.

    As `tf.cast(tf.round(tf.clip_by_value(...)))`, in one pass instead of three.
    """
    found = tf.raw_ops.QuantizeV2(
        input=values,
        min_range=0.0,
        max_range=255.0,
        T=tf.quint8,
        mode="SCALED",
        round_mode="HALF_TO_EVEN",
    )
    return tf.bitcast(found[0], tf.uint8)


def height_width(clip):
    """Integer scalars H, W of a clip's images, px."""
    shape = tf.shape(next(iter(clip.values())))
    return shape[1], shape[2]


def _choose(rows, uniform):
    """One of several rows of integers, by a draw in [0, 1)."""
    index = tf.cast(uniform * len(rows), tf.int32)
    return tf.constant(rows, tf.int32)[tf.minimum(index, len(rows) - 1)]


def _scaled(clip, size, short_side, to):
    if to is None:
        short_side = round(size * 256 / 224) if short_side is None else short_side
        if short_side < size:
            raise ValueError(
                "`short_side` must be at least `size`. "
                f"Received: short_side={short_side}, size={size}"
            )
        shape = tf.stack(height_width(clip))
        scale = short_side / tf.reduce_min(shape)
        to = tf.cast(tf.round(tf.cast(shape, tf.float64) * scale), tf.int32)
    elif short_side is not None or min(to) < size:
        raise ValueError(
            "`to` must be (height, width) of at least `size`, without a `short_side`. "
            f"Received: to={to}, size={size}, short_side={short_side}"
        )
    return {name: resize(images, to) for name, images in clip.items()}


def _cut(images, places, size):
    """(V, T, size, size, C): the views at places in quarters of the room."""
    room = tf.shape(images)[1:3] - size
    corners = [tf.unstack(room * tf.constant(place) // 4) for place in places]
    return tf.stack([images[:, top : top + size, left : left + size] for top, left in corners])
