"""What happens when a clip cannot be read: the run stops and names the image, or takes another
video and counts it. Nothing is dropped silently, and a batch never becomes smaller.
"""

import contextlib
import re
import sys
import threading

import numpy as np
import tensorflow as tf

CANDIDATES = 8  # videos that are tried for one clip, then the run stops


class Guard:
    """Reads clips, and knows what could not be read.

    Python runs only when a clip has failed: it reads the same images once more, one by one, to name
    the one that is to blame.

    Args:
        video_ids: sequence of str, by video number.
        explain: function of (video number, key) to a message, str: what is wrong with the images
            of that clip; None if it finds nothing wrong.
    """

    def __init__(self, video_ids, explain):
        self._video_ids, self._explain = video_ids, explain
        self._skipped, self._broken = {}, None  # video_id -> [clips, message]; a message
        self._lock = threading.Lock()

    def first_whole(self, example, video, key, *, skip=False):
        """The clip of a video, or of the first of several whose images can be read.

        The others are drawn from the key alone, so that a resumed run takes the same.

        Args:
            example: function of (video number, key) to tensors.
            video: integer scalar.
            key: int32 (2,).
            skip: bool, take another video where this one cannot be read.

        Returns:
            What `example` gave.
        """
        video = tf.cast(video, tf.int32)[None]
        if skip:
            aside = tf.random.fold_in(key, 1)
            count, limit = [CANDIDATES - 1], len(self._video_ids)
            others = tf.random.stateless_uniform(count, aside, 0, limit, tf.int32)
            video = tf.concat([video, others], 0)

        def last_try(_):
            told = tf.numpy_function(self._stop, [video, key], tf.int32)
            with tf.control_dependencies([told]):  # it raises, unless all is well by now
                return 0, example(tf.identity(video[0]), key)

        def checked(place, number):
            return tf.cast(place, tf.int32), example(number, key)

        tries = tf.data.Dataset.from_tensor_slices(video).enumerate().map(checked)
        tries = tries.ignore_errors(log_warning=False)
        tries = tries.concatenate(tf.data.Dataset.from_tensors(0).map(last_try))
        place, found = tries.take(1).get_single_element()
        if not skip:
            return found
        told = tf.cond(
            place > 0,
            lambda: tf.numpy_function(self._skip, [video[:place], key], tf.int32),
            lambda: 0,
        )
        with tf.control_dependencies([told]):
            return tf.nest.map_structure(tf.identity, found)

    @contextlib.contextmanager
    def explained(self):
        """Whatever TensorFlow raises inside, where an image was to blame, becomes a short OSError
        that names it."""
        try:
            yield
        except tf.errors.OpError as error:
            if self._broken is None:
                raise
            raise OSError(self._broken) from error

    def report(self):
        """What was skipped so far, a sorted list of (video_id, clips, message).

        Clips that were read ahead of the step count.
        """
        with self._lock:
            return [(name, *found) for name, found in sorted(self._skipped.items())]

    def _stop(self, videos, key):
        messages = [self._explain(int(video), key) for video in videos]
        if None in messages:
            return np.int32(0)  # a file that was not there is there now
        more = f" {len(videos)} videos in a row cannot be read." if len(videos) > 1 else ""
        self._broken = f"{messages[0]}{more}"
        raise ValueError(self._broken)  # which TensorFlow passes on with its traceback

    def _skip(self, videos, key):
        for video in videos:
            name, reason = self._video_ids[video], self._explain(int(video), key)
            with self._lock:
                new = name not in self._skipped
                found = self._skipped.setdefault(name, [0, reason or "it could be read later"])
                found[0] += 1
            if new:
                print(f"skipped: {found[1]}", file=sys.stderr, flush=True)
        return np.int32(0)


def fault(images, video, places):
    """What is wrong with images, read and decoded one by one.

    Args:
        images: LooseImages or what does as it does.
        video: int, the video's number.
        places: list of ("frames" or "flow", index).

    Returns:
        str that names the image; None if they are whole and of one size.
    """
    sizes = {}
    for kind, index in places:
        names = images.names(kind, video, index)
        try:
            found = getattr(images, kind)(video, tf.constant([[index]], tf.int32))
        except tf.errors.OpError as error:
            why = re.sub(r"^\{\{.*?\}\} | \[Op:.*", "", error.message)  # names of TensorFlow's ops
            if not any(name in why for name in names):
                why = f"{' and '.join(names)} cannot be read: {why}"
            return f"{why}. {images.REPAIR}"
        for name, jpg in zip(names, tf.reshape(found, [-1]), strict=True):
            try:
                height, width, _ = tf.io.decode_jpeg(jpg).shape
            except tf.errors.OpError:
                return f"{name} must be a whole JPG, and is not. {images.REPAIR}"
            sizes.setdefault(f"{height} x {width}", name)
    if len(sizes) < 2:
        return None
    listed = ", ".join(f"{size} of {name}" for size, name in sizes.items())
    return f"All images of a clip must have one size. Received: {listed}. {images.REPAIR}"
