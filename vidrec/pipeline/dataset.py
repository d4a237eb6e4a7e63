"""Clips of a table of videos as a `tf.data.Dataset`, with counter-based randomness.

Example number c of a training run is fixed by (seed, c) alone: which video it is, which images are
taken, how they are augmented. So a run that resumes at a step sees what the uninterrupted run would
have seen.
"""

import functools

import tensorflow as tf

from vidrec.pipeline import augmentation, crops, finishing
from vidrec.pipeline.order import Order, check_shard


def training_clips(
    source,
    *,
    batch_size,
    seed,
    epochs,
    first_epoch=0,
    first_step=0,
    shuffle_order="shuffle_first",
    shard=(0, 1),
    options=None,
    finished=True,
    facts=False,
):
    """Training data: the batches of a run from a step on to its end, one after the other.

    Args:
        source: ClipSource.
        batch_size: int, B of all workers together; all batches are full.
        seed: int >= 0.
        epochs: int, the last epoch plus one.
        first_epoch, first_step: int, the step of an epoch at which a resumed run goes on.
        shuffle_order, shard: see `vidrec.pipeline.order.Order`. A worker gets its part of every
            batch, B / workers examples; hand that over by `distribute_datasets_from_function`,
            since `experimental_distribute_dataset` would part it once more.
        options: Augmentation, or None for its defaults.
        finished: bool; False leaves scaling, flips and colour to `finishing.finish`, and gives what
            that takes in place of clips.
        facts: bool, whether the facts of the clips come along.

    Returns:
        tf.data.Dataset of ({"rgb": uint8 (B, T, H, W, 3), "flow": ...}, int32 (B,)) and, with
        `facts`, a third: what `ClipSource.read` says of the clips.

    Raises:
        ValueError: as `Order`; if clips are to be finished later that cannot be.
    """
    order = Order(
        videos=len(source),
        batch_size=batch_size,
        seed=seed,
        epochs=epochs,
        shuffle_order=shuffle_order,
        shard=shard,
    )
    source.warn_of_short_parts()
    options = augmentation.Augmentation() if options is None else options
    base, tensors = tf.constant([seed, 1], tf.int32), source.tensors()
    change = augmentation.augment
    if not finished:
        finishing.check_options(options)
        change = finishing.hand_over

    def clip_of(number):
        keys = tf.random.split(tf.random.fold_in(base, number), 2)
        return order.video(number), keys[0], keys[1]

    def example(video, draw, seed):
        clip, told = source.read(tensors, video, draw, training=True)
        clip = change(clip, source.clip, options, seed)
        label = tensors["label"][video]
        return (clip, label, told) if facts else (clip, label)

    watched = source.guard.watch(example, clip_of, skip=source.on_missing == "skip")
    data = order.numbers(first_epoch, first_step).map(watched, tf.data.AUTOTUNE)
    if finished:
        data = data.map(_with_shapes(source.clip))
        data = data.batch(order.own_batch_size, drop_remainder=True)
    else:  # crops differ in size
        data = data.padded_batch(order.own_batch_size, drop_remainder=True)
    return _fetched_ahead(data, shard)


def evaluation_clips(
    source,
    *,
    batch_size,
    sampling_mode="centre",
    seed=0,
    short_side=None,
    to=None,
    views=1,
    flow_flip="negate",
    shard=(0, 1),
):
    """One clip of each video or, of a source that has more, all of them; in the order of the table,
    in one view or several.

    Args:
        source: ClipSource. Its `on_missing` does not count: a test lacks no video.
        batch_size: int; the last batch may be smaller.
        sampling_mode: "centre", the same at every call, or "random", a draw of `seed`.
        seed: int >= 0, the draw; the paper evaluates three (section 3.4.2).
        short_side, to: see `vidrec.pipeline.crops.centre_crop`.
        views: 1 for the centre, 5 with the corners, 10 with all of them mirrored; see
            `vidrec.pipeline.crops.ten_crop`.
        flow_flip: see `augmentation.Augmentation`.
        shard: (worker, workers); a worker gets every so many-th video, with the same draws.

    Returns:
        tf.data.Dataset of ({"rgb": uint8 (B, T, H, W, 3), "flow": ...}, int32 (B,), facts), see
        `ClipSource.read`: facts["video_id"] is string (B,). The second axis of more clips or views
        than one counts them, the views of the first clip first: (B, clips * views, T, H, W, C). Of
        several clips the facts have an axis too.

    Raises:
        ValueError: if `sampling_mode` or `views` is unknown, or `shard` is none.
    """
    if sampling_mode not in ("centre", "random"):
        raise ValueError(
            "`sampling_mode` must be 'centre' or 'random'. "
            f"Received: sampling_mode={sampling_mode!r}"
        )
    if views not in (1, 5, 10):
        raise ValueError(f"`views` must be 1, 5 or 10. Received: views={views!r}")
    check_shard(shard)
    flip = functools.partial(augmentation.flip_left_right, negate=flow_flip == "negate")
    base, tensors = tf.constant([seed, 2], tf.int32), source.tensors()

    def clip_of(number):
        key = tf.random.fold_in(base, number)
        return number, key if sampling_mode == "random" else None, key

    def seen(video, draw, number):
        clip, facts = source.read(tensors, video, draw, view=number)
        options = {"short_side": short_side, "to": to, "flip": flip}
        return crops.views(clip.decode(), source.clip.size, views, **options), facts

    def example(video, draw, _):
        clips, facts = zip(*(seen(video, draw, i) for i in range(source.clips)), strict=True)
        clip, told = clips[0], facts[0]
        if source.clips > 1:
            clip = {name: tf.concat([each[name] for each in clips], axis=0) for name in clip}
            several = {name: tf.stack([each[name] for each in facts]) for name in told}
            told = several | {"video_id": told["video_id"]}
        elif views == 1:
            clip = {name: images[0] for name, images in clip.items()}
        return clip, tensors["label"][video], told

    numbers = tf.data.Dataset.range(shard[0], len(source), shard[1])
    data = numbers.map(source.guard.watch(example, clip_of), tf.data.AUTOTUNE)
    data = data.map(_with_shapes(source.clip, views * source.clips))
    return _fetched_ahead(data.batch(batch_size), shard)


def _with_shapes(clip, views=1):
    several = (views,) if views > 1 else ()
    shapes = {name: several + clip.shape(name) for name in clip.modalities}

    def with_shapes(images, *rest):
        return {name: tf.ensure_shape(images[name], shapes[name]) for name in shapes}, *rest

    return with_shapes


def _fetched_ahead(data, shard):
    policies, options = tf.data.experimental.AutoShardPolicy, tf.data.Options()
    by_hand = shard[1] > 1
    options.experimental_distribute.auto_shard_policy = policies.OFF if by_hand else policies.DATA
    return data.prefetch(tf.data.AUTOTUNE).with_options(options)
