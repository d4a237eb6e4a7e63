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
    """Knows which clips are being read, and so what was to blame when one cannot be.

    Python runs only after a failure: it reads the images of that clip once more, one by one.

    Args:
        video_ids: sequence of str, by video number.
        explain: function of (video number, draw) to a message, str: what is wrong with the images
            of that clip; None if it finds nothing wrong.
    """

    def __init__(self, video_ids, explain):
        self._video_ids, self._explain = video_ids, explain
        self._begun = []  # of each Dataset: a table of the examples in work, what they are of
        self._skipped, self._lock = {}, threading.Lock()  # video_id -> [clips, message]

    def watch(self, example, clip_of, *, skip=False):
        """Makes a function for `Dataset.map` that notes each example until it is done.

        Args:
            example: function of (video number, draw, seed) to tensors.
            clip_of: function of an example's number, int64 scalar, to (video number, draw, seed),
                without state: keys, integer (2,), of the choice of its images and of all else. A
                draw may be None.
            skip: bool, where a video cannot be read, take another. It is drawn from the seed alone,
                so that a resumed run takes the same. This costs a nested Dataset for each clip.

        Returns:
            Function of an example's number to what `example` gives.
        """
        table = tf.lookup.experimental.MutableHashTable(
            tf.int64, tf.int64, -1, experimental_is_anonymous=True
        )
        self._begun.append((table, clip_of))

        def watched(number):
            with tf.control_dependencies([table.insert(number, number)]):
                clip = clip_of(tf.identity(number))
            found = self._first_whole(example, *clip) if skip else example(*clip)
            with tf.control_dependencies(tf.nest.flatten(found)):
                done = table.remove(number[None])
            with tf.control_dependencies([done]):
                return tf.nest.map_structure(tf.identity, found)

        return watched

    @contextlib.contextmanager
    def explained(self):
        """Whatever TensorFlow raises inside, where an image was to blame, becomes a short OSError
        that names it."""
        try:
            yield
        except tf.errors.OpError as error:
            message = self._to_blame()
            if message is None:
                raise
            raise OSError(message) from error

    def report(self):
        """What was skipped so far, a sorted list of (video_id, clips, message).

        Clips that were read ahead of the step count.
        """
        with self._lock:
            return [(name, *found) for name, found in sorted(self._skipped.items())]

    def _first_whole(self, example, video, draw, seed):
        """The clip of a video, or of the first of some others that can be read."""
        video, there = tf.cast(video, tf.int32), len(self._video_ids)
        aside = tf.random.fold_in(seed, 1)
        steps = tf.random.stateless_uniform([CANDIDATES - 1], aside, 1, max(2, there), tf.int32)
        videos = tf.concat([[video], (video + steps) % there], 0)  # it is not among the others

        def attempt(place, candidate):
            return place, example(candidate, draw, seed)

        tries = tf.data.Dataset.from_tensor_slices(videos).enumerate().map(attempt)
        last = tf.data.Dataset.from_tensors((tf.constant(0, tf.int64), videos[0])).map(attempt)
        tries = tries.ignore_errors(log_warning=False).concatenate(last)  # which raises
        place, found = tries.take(1).get_single_element()
        told = tf.cond(
            place > 0,
            lambda: tf.numpy_function(self._skip, [videos[:place], draw], tf.int32),
            lambda: 0,
        )
        with tf.control_dependencies([told]):
            return tf.nest.map_structure(tf.identity, found)

    def _skip(self, videos, draw):
        for video in videos:
            name, reason = self._video_ids[video], self._explain(int(video), draw)
            with self._lock:
                new = name not in self._skipped
                found = self._skipped.setdefault(name, [0, reason or "it could be read later"])
                found[0] += 1
            if new:
                print(f"skipped {name}: {found[1]}", file=sys.stderr, flush=True)
        return np.int32(0)

    def _to_blame(self):
        """The message of an example that was begun and is not done, or None."""
        for table, clip_of in self._begun:
            for number in np.sort(table.export()[0]):
                video, draw, _ = clip_of(tf.constant(number))
                message = self._explain(int(video), draw)
                if message is not None:
                    return message
        return None


def plain(error):
    """The message of a tf.errors.OpError without the names of the ops that it went through."""
    first = error.message.split("\n")[0]
    return re.sub(r"\{\{.*?\}\} ?|Error in user-defined .* iterator: \S+: | \[Op:.*", "", first)


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
            why = plain(error)
            if not any(name in why for name in names):
                why = f"{' and '.join(names)} cannot be read: {why}"
            return f"{why}. {images.REPAIR}"
        for name, jpg in zip(names, tf.reshape(found, [-1]), strict=True):
            try:
                tf.io.extract_jpeg_shape(jpg)  # which a PNG does not pass
                height, width, _ = tf.io.decode_jpeg(jpg).shape
            except tf.errors.OpError:
                return f"{name} must be a whole JPG, and is not. {images.REPAIR}"
            sizes.setdefault(f"{height} x {width}", name)
    if len(sizes) < 2:
        return None
    listed = ", ".join(f"{size} of {name}" for size, name in sizes.items())
    return f"All images of a clip must have one size. Received: {listed}. {images.REPAIR}"
