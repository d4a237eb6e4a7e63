"""Clips of a table of videos as a `tf.data.Dataset`, with counter-based randomness.

Example number c of a training run is fixed by (seed, c) alone: which video it is, which images are
taken, how they are augmented. So a run that resumes at step s starts the count at s * batch_size
and sees what the uninterrupted run would have seen.
"""

import dataclasses
import warnings

import numpy as np
import tensorflow as tf

from vidrec.layouts import PACKED
from vidrec.packs import check_loose
from vidrec.pipeline import augmentation, crops, sampling
from vidrec.pipeline.decoding import Encoded
from vidrec.pipeline.loose import LooseImages
from vidrec.pipeline.packed import PackedImages, locate
from vidrec.pipeline.policies import Sampling

SHUFFLE_ORDERS = ("shuffle_first", "repeat_first")
SHORT_VIDEOS = ("error", "pad")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipSource:
    """The videos that clips are made of.

    Attributes:
        store: Store, of loose files or packed.
        table: DataFrame with video_id, label, n_frames and n_flow; its order is kept.
        classes: sequence of str; the integer label is the position in it.
        clip: ClipSpec.
        short_video: "error" refuses videos with fewer frames than a clip needs; "pad" repeats
            their last frame and last flow pair.
        sampling: Sampling, how the frames of a clip are chosen.
        timing: ClipSpec or None. Places in the video are drawn for it instead of `clip`, so that
            streams which are evaluated apart see the same moments. It has the segments and frames
            of `clip` and needs as many frames or more.

    Raises:
        ValueError: naming the videos whose label is not in `classes`, whose flow does not count
            n_frames - 1, which are too short, or whose images a pack lacks; if there is none, or
            `timing` does not fit `clip`.
    """

    store: object
    table: object
    classes: tuple
    clip: object
    short_video: str = "error"
    sampling: Sampling = Sampling()
    timing: object = None
    _places: object = dataclasses.field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self):
        object.__setattr__(self, "classes", tuple(self.classes))
        object.__setattr__(self, "timing", self.timing or self.clip)
        if self.short_video not in SHORT_VIDEOS:
            raise ValueError(
                f"`short_video` must be one of {SHORT_VIDEOS}. "
                f"Received: short_video={self.short_video!r}"
            )
        _check_timing(self.timing, self.clip)
        table = self.table
        if not len(table):
            raise ValueError("`table` must hold at least one video. Received: an empty table")
        _refuse(table[~table.label.isin(self.classes)], "have a label that is not a class")
        least = 1
        if "flow" in self.clip.modalities:
            wrong = table[(table.n_flow != table.n_frames - 1) | (table.n_flow < 1)]
            _refuse(wrong, "lack flow (N frames need N - 1 pairs); run `vidrec extract-flow`")
            least = 2
        starts = self.sampling.places(table.n_frames, self.timing)
        too_short = starts < 1 if self.short_video == "error" else table.n_frames < least
        need = least if self.short_video == "pad" else 2 - self.sampling.places(1, self.timing)
        _refuse(table[too_short], f"are too short: this clip needs at least {need} frames")
        few = table[starts < self.clip.segments] if self.sampling.policy == "segments" else ()
        if len(few):
            warnings.warn(
                f"{len(few)} videos have fewer places to begin than the clip's "
                f"{self.clip.segments} segments, so their images repeat. {_listed(few)}",
                stacklevel=3,
            )
        if self.store.layout != PACKED:
            check_loose(self.store.root)
        else:
            places = locate(self.store.root, table, self.clip.modalities)
            object.__setattr__(self, "_places", places)

    def __len__(self):
        return len(self.table)

    def tensors(self):
        """What the pipeline looks up by video number: ids, labels, lengths."""
        labels = {name: i for i, name in enumerate(self.classes)}
        return {
            "video_id": tf.constant(list(self.table.video_id)),
            "label": tf.constant([labels[name] for name in self.table.label], tf.int32),
            "n_frames": tf.constant(np.asarray(self.table.n_frames), tf.int32),
        }

    def images(self):
        """What reads the videos' images: `frames` and `flow`, by video number and indices."""
        if self._places is not None:
            return PackedImages(self._places)
        return LooseImages(self.store, self.table.video_id)


def training_clips(
    source,
    *,
    batch_size,
    seed,
    epochs,
    first_epoch=0,
    shuffle_order="shuffle_first",
    options=None,
):
    """Training data: the batches of the epochs first_epoch to epochs - 1, one after the other.

    Args:
        source: ClipSource.
        batch_size: int; the batches are all full. An epoch has len(source) // batch_size steps, and
            the examples left over differ from epoch to epoch.
        seed: int >= 0.
        epochs: int, the last epoch plus one.
        first_epoch: int, where a resumed run goes on.
        shuffle_order: "shuffle_first": each epoch is a new order of all videos. "repeat_first":
            all epochs are shuffled together, as by `repeat` before `shuffle` (Qiao et al. 2021,
            section 3.2), so that a video may come twice in one epoch and not in the next.
        options: Augmentation, or None for its defaults.

    Returns:
        tf.data.Dataset of ({"rgb": uint8 (B, T, H, W, 3), "flow": ...}, int32 (B,)).

    Raises:
        ValueError: if there are fewer videos than a batch holds, or an option is unknown.
    """
    steps = steps_per_epoch(source, batch_size)
    if shuffle_order not in SHUFFLE_ORDERS:
        raise ValueError(
            f"`shuffle_order` must be one of {SHUFFLE_ORDERS}. "
            f"Received: shuffle_order={shuffle_order!r}"
        )
    options = augmentation.Augmentation() if options is None else options
    videos, per_epoch = len(source), steps * batch_size
    base = tf.constant([seed, 0], tf.int32)
    tensors, images = source.tensors(), source.images()

    def video_of(count):
        epoch, place = count // per_epoch, count % per_epoch
        if shuffle_order == "shuffle_first":
            key = tf.random.experimental.stateless_fold_in(base, epoch)
            return tf.random.experimental.index_shuffle(place, _words(key), videos - 1)
        everything = epochs * videos
        return tf.random.experimental.index_shuffle(count, _words(base), everything - 1) % videos

    def example(count):
        key = tf.random.experimental.stateless_fold_in(base + [0, 1], count)
        draw, change = tf.unstack(tf.random.split(key, 2))
        video = video_of(count)
        clip = read_clip(source, images, tensors, video, tf.random.stateless_uniform, draw)
        return augmentation.augment(clip, source.clip, options, change), tensors["label"][video]

    counts = tf.data.Dataset.range(first_epoch * per_epoch, epochs * per_epoch)
    return _batched(counts, example, source, batch_size, drop_remainder=True)


def evaluation_clips(
    source, *, batch_size, sampling_mode="centre", seed=0, short_side=None, to=None
):
    """One clip of each video, in the order of the table.

    Args:
        source: ClipSource.
        batch_size: int; the last batch may be smaller.
        sampling_mode: "centre", the same at every call, or "random", a draw of `seed`.
        seed: int >= 0, the draw; the paper evaluates three (section 3.4.2).
        short_side, to: see `vidrec.pipeline.crops.centre_crop`.

    Returns:
        tf.data.Dataset of ({"rgb": uint8 (B, T, H, W, 3), "flow": ...}, int32 (B,)).

    Raises:
        ValueError: if `sampling_mode` is unknown.
    """
    if sampling_mode not in ("centre", "random"):
        raise ValueError(
            "`sampling_mode` must be 'centre' or 'random'. "
            f"Received: sampling_mode={sampling_mode!r}"
        )
    tensors, images = source.tensors(), source.images()
    base = tf.constant([seed, 2], tf.int32)
    uniform = tf.random.stateless_uniform if sampling_mode == "random" else None

    def example(video):
        key = tf.random.experimental.stateless_fold_in(base, video)
        clip = read_clip(source, images, tensors, video, uniform, key)
        view = crops.centre_crop(clip.decode(), source.clip.size, short_side=short_side, to=to)
        return view, tensors["label"][video]

    numbers = tf.data.Dataset.range(len(source))
    return _batched(numbers, example, source, batch_size, drop_remainder=False)


def steps_per_epoch(source, batch_size):
    """Full batches in one epoch.

    Raises:
        ValueError: if not even one batch can be filled.
    """
    if not 1 <= batch_size <= len(source):
        raise ValueError(
            "`batch_size` must be at least 1 and at most the number of training videos. "
            f"Received: batch_size={batch_size}, videos={len(source)}"
        )
    return len(source) // batch_size


def read_clip(source, images, tensors, video, uniform, key):
    """Chooses the images of a clip, then reads those: an Encoded. `uniform` None: no draws."""
    clip, n_frames = source.clip, tensors["n_frames"][video]
    draw = uniform and (lambda count: uniform([count], key))
    frames = source.sampling.frames(n_frames, source.timing, draw)
    rgb = flow = None
    if "rgb" in clip.modalities:
        rgb = images.frames(video, tf.reshape(frames, [-1, source.sampling.run(clip)]))
    if "flow" in clip.modalities:
        pairs = sampling.flow_windows(frames, clip, n_frames)
        flow = images.flow(video, tf.ensure_shape(pairs, [clip.frames, clip.flow_length]))
    return Encoded(rgb, flow, tensors["video_id"][video])


def _words(key):
    """Two words from a key, random in all bits: `index_shuffle` looks at few bits of each (8 where
    this was measured), so that with the key itself an order came again every 256 epochs."""
    return tf.random.stateless_uniform([2], key, minval=None, maxval=None, dtype=tf.uint32)


def _batched(numbers, example, source, batch_size, *, drop_remainder):
    shapes = {name: source.clip.shape(name) for name in source.clip.modalities}

    def with_shapes(clip, label):
        return {name: tf.ensure_shape(clip[name], shapes[name]) for name in shapes}, label

    data = numbers.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    data = data.map(with_shapes).batch(batch_size, drop_remainder=drop_remainder)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return data.prefetch(tf.data.AUTOTUNE).with_options(options)


def _check_timing(timing, clip):
    shapes = [(spec.segments, spec.frames_per_segment) for spec in (timing, clip)]
    needs = [2 - sampling.count_starts(1, spec) for spec in (timing, clip)]
    if shapes[0] != shapes[1] or needs[0] < needs[1]:
        raise ValueError(
            "`timing` must have the segments and frames_per_segment of `clip` and reach over as "
            f"many frames or more. Received: timing={timing}, clip={clip}"
        )


def _refuse(rows, complaint):
    if len(rows):
        raise ValueError(f"{len(rows)} videos {complaint}. {_listed(rows)}")


def _listed(rows):
    return f"Received: {list(rows.video_id[:5])}{' ...' if len(rows) > 5 else ''}"
