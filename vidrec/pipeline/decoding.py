"""The images of a clip, from JPG bytes to pixels: all of each, or only the part that is needed.

The loops are unrolled into the graph: the number of images of a clip is known, and unrolled reads
run in parallel where `tf.map_fn` would add a loop's overhead to each. `tf.io.decode_jpeg` raises
on a truncated file, where OpenCV would return a half-gray image.
"""

import dataclasses

import tensorflow as tf

from vidrec.pipeline import crops

PLANES = 24  # channels that are decoded before they are scaled, so that caches hold them
MARGIN = 2  # px; colour is coded at half the resolution, and a cut decoder guesses beyond its edge


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A clip that is not decoded yet.

    Attributes:
        rgb: string (T,), JPGs of its frames, or None.
        flow: string (T, 2L), gray JPGs u1, v1, u2, v2, ... of each frame, or None.
        name: string scalar, the video's id, for messages.
        fast_dct: bool, decode by libjpeg's faster, less exact transform (TensorFlow's own default):
            codes differ by 1 or 2 here and there, and it is not always faster.
    """

    rgb: tf.Tensor | None
    flow: tf.Tensor | None
    name: tf.Tensor | str = ""
    fast_dct: bool = False

    def height_width(self):
        """int32 scalars H, W of the images, px. Those of all images are held to be equal.

        Raises:
            tf.errors.InvalidArgumentError: if they are not, or one is no JPG.
        """
        images = [tf.reshape(x, [-1]) for x in (self.rgb, self.flow) if x is not None]
        first, *others = [tf.io.extract_jpeg_shape(x)[:2] for x in tf.unstack(tf.concat(images, 0))]
        if not others:
            return tf.unstack(first)
        differ = tf.reduce_any(tf.stack(others) != first, axis=1)
        other = tf.gather(tf.stack(others), tf.argmax(differ))
        same = tf.debugging.Assert(
            ~tf.reduce_any(differ),
            ["all images of a clip must have one size. Received:", first, other, self.name],
        )
        with tf.control_dependencies([same] if same is not None else []):
            return tf.unstack(tf.identity(first))

    def part(self, low, high):
        """The frames low to high - 1, Encoded."""
        rgb, flow = (x if x is None else x[low:high] for x in (self.rgb, self.flow))
        return dataclasses.replace(self, rgb=rgb, flow=flow)

    def decode(self, box=None, *, shape=None, size=None):
        """The clip, or the part of its images in a box, which is the same as cutting it out.

        Args:
            box: int32 (4,), see `vidrec.pipeline.crops`, or None for whole images.
            shape: what `height_width` returned, if that was asked already.
            size: int, px, that images are scaled to, as by `crops.resize`; or None. Faster than to
                do it afterwards: of a few images at a time, while caches hold them.

        Returns:
            dict of uint8 (T, H, W, C), see `vidrec.clip`. A gray JPG gives three equal channels of
            rgb.

        Raises:
            tf.errors.InvalidArgumentError: if an image is no whole JPG, or they differ in size.
        """
        shape, clip = self.height_width() if shape is None else shape, {}
        with tf.control_dependencies([shape[0]]):  # not before the sizes are known to be equal
            if self.rgb is not None:
                parts = _parts(tf.unstack(self.rgb), 3)
                clip["rgb"] = tf.concat([self._colour(p, box, shape, size) for p in parts], 0)
            if self.flow is not None:
                stacks = [tf.unstack(stack) for stack in tf.unstack(self.flow)]
                parts = _parts(stacks, self.flow.shape[1])
                clip["flow"] = tf.concat([self._flow(p, box, size) for p in parts], 0)
        return clip

    def decode_planes(self, box, *, shape):
        """As `decode`, but flow stays as it was stored, uint8 (T, 2L, H, W)."""
        clip = dataclasses.replace(self, flow=None)
        clip = {} if self.rgb is None else clip.decode(box, shape=shape)
        if self.flow is not None:
            with tf.control_dependencies([shape[0]]):
                images = self._gray(tf.unstack(tf.reshape(self.flow, [-1])), box)
            clip["flow"] = tf.reshape(images, [*self.flow.shape, box[2], box[3]])
        return clip

    def _colour(self, frames, box, shape, size):
        """uint8 (T, H, W, 3) of T JPGs."""
        if box is None:
            found = tf.stack([self._decode(data, 3, None) for data in frames])
        else:
            top, left, (height, width) = box[0], box[1], shape
            above, before = tf.minimum(top, MARGIN), tf.minimum(left, MARGIN)
            outer = [
                top - above,
                left - before,
                tf.minimum(box[2] + above + MARGIN, height - top + above),
                tf.minimum(box[3] + before + MARGIN, width - left + before),
            ]
            found = tf.stack([self._decode(data, 3, tf.stack(outer)) for data in frames])
            found = found[:, above : above + box[2], before : before + box[3]]
        return found if size is None else crops.resize(found, [size, size])

    def _flow(self, stacks, box, size):
        """uint8 (T, H, W, 2L) of T lists of 2L JPGs."""
        images = self._gray([data for stack in stacks for data in stack], box)
        if size is None:
            return as_channels(images, len(stacks))
        pixels = crops.resize(as_channels(images, 1), [size, size])  # many channels: the fastest
        return _apart(tf.reshape(pixels, [size * size, len(stacks), -1]), size)

    def _gray(self, jpgs, box):
        """uint8 (R, H, W, 1) of R JPGs."""
        return tf.stack([self._decode(data, 1, box) for data in jpgs])

    def _decode(self, data, channels, box):
        """The bytes of a JPG, string scalar, to uint8 (H, W, channels)."""
        method = "INTEGER_FAST" if self.fast_dct else "INTEGER_ACCURATE"
        if box is None:
            return tf.io.decode_jpeg(data, channels=channels, dct_method=method)
        return tf.image.decode_and_crop_jpeg(data, box, channels=channels, dct_method=method)


def _parts(frames, channels):
    """Frames in lists of at most PLANES channels, or of one frame."""
    step = max(1, PLANES // channels)
    return [frames[low : low + step] for low in range(0, len(frames), step)]


def _apart(pixels, size):
    """uint8 (size * size, T, C), all frames of a pixel side by side, to (T, size, size, C)."""
    _, frames, channels = pixels.shape
    if frames > 1:  # as few, wide numbers: their transposition takes the time of so many numbers
        wide = next(t for t in (tf.int64, tf.int32, tf.uint16) if channels % t.size == 0)
        numbers = tf.bitcast(
            tf.reshape(pixels, [-1, frames, channels // wide.size, wide.size]), wide
        )
        pixels = tf.bitcast(tf.transpose(numbers, [1, 0, 2]), tf.uint8)
    return tf.reshape(pixels, [frames, size, size, channels])


def as_channels(images, frames):
    """Gray images as the channels of so many frames.

    A transposition of all pixels at once: to put 20 images side by side as channels by `tf.concat`
    takes longer than to decode them (experiments/benchmarks/pipeline.py).

    Args:
        images: uint8 (T * C, H, W, 1).
        frames: int, T.

    Returns:
        uint8 (T, H, W, C).
    """
    height, width = tf.unstack(tf.shape(images)[1:3])
    channels = images.shape[0] // frames
    pixels = tf.transpose(tf.reshape(images, [frames, channels, height * width]), [0, 2, 1])
    return tf.reshape(pixels, [frames, height, width, channels])


def read_files(paths):
    """The bytes of files.

    Args:
        paths: string tensor of a static shape.

    Returns:
        string tensor of that shape.

    Raises:
        tf.errors.NotFoundError: if a file is missing; names it.
    """
    data = [tf.io.read_file(path) for path in tf.unstack(tf.reshape(paths, [-1]))]
    return tf.reshape(tf.stack(data), paths.shape)


def image_paths(prefix, numbers, digits, suffix):
    """Paths of numbered images.

    Args:
        prefix: string scalar, the path up to the number.
        numbers: int32 tensor of any shape, counted from 1.
        digits: int, the number's width; zeros fill it.
        suffix: str, what follows the number.

    Returns:
        string tensor of the shape of `numbers`.
    """
    return tf.strings.join([prefix, tf.strings.as_string(numbers, width=digits, fill="0"), suffix])
