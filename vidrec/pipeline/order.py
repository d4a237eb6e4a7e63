"""Which video each example of a training run is of: a function of its number and of the run alone.

The examples of a run are numbered through: example c is in batch c // B. So a run that resumes at
a step starts to count there, and each of several workers counts its own part of every batch.
"""

import dataclasses

import tensorflow as tf

SHUFFLE_ORDERS = ("shuffle_first", "repeat_first")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """The order of a training run over V videos.

    Attributes:
        videos: int >= 1, V.
        batch_size: int, B of all workers together; batches are all full, so an epoch has V // B
            steps, and the videos left over differ from epoch to epoch.
        seed: int >= 0.
        epochs: int, the last epoch plus one.
        shuffle_order: "shuffle_first": each epoch is a new order of all videos. "repeat_first":
            all epochs are shuffled together, as by `repeat` before `shuffle` (Qiao et al. 2021,
            section 3.2), so that a video may come twice in one epoch and not in the next.
        shard: (worker, workers). A worker takes its B / workers consecutive examples of each batch.

    Raises:
        ValueError: if not even one batch can be filled, a worker's part of it is not a whole
            number, or an option is unknown.
    """

    videos: int
    batch_size: int
    seed: int
    epochs: int
    shuffle_order: str = "shuffle_first"
    shard: tuple[int, int] = (0, 1)

    def __post_init__(self):
        steps_per_epoch(self.videos, self.batch_size)
        check_shard(self.shard)
        if self.batch_size % self.shard[1]:
            raise ValueError(
                f"`batch_size` must be a multiple of the {self.shard[1]} workers. "
                f"Received: batch_size={self.batch_size}"
            )
        if self.shuffle_order not in SHUFFLE_ORDERS:
            raise ValueError(
                f"`shuffle_order` must be one of {SHUFFLE_ORDERS}. "
                f"Received: shuffle_order={self.shuffle_order!r}"
            )

    @property
    def own_batch_size(self):
        """Examples of a batch that this worker takes."""
        return self.batch_size // self.shard[1]

    def numbers(self, first_epoch=0, first_step=0):
        """The numbers of this worker's examples, from a step on: a Dataset of int64 scalars."""
        worker, own = self.shard[0], self.own_batch_size
        steps = steps_per_epoch(self.videos, self.batch_size)
        first = first_epoch * steps + first_step
        places = tf.data.Dataset.range(first * own, self.epochs * steps * own)
        if own == self.batch_size:
            return places
        return places.map(lambda i: i // own * self.batch_size + worker * own + i % own)

    def video(self, number):
        """The video, int64 scalar in [0, V), of example `number`."""
        per_epoch = steps_per_epoch(self.videos, self.batch_size) * self.batch_size
        base, last = tf.constant([self.seed, 0], tf.int32), self.videos - 1
        if self.shuffle_order == "shuffle_first":
            epoch, place = number // per_epoch, number % per_epoch
            key = tf.random.fold_in(base, epoch)
            return tf.random.experimental.index_shuffle(place, _words(key), last)
        last = self.epochs * self.videos - 1
        return tf.random.experimental.index_shuffle(number, _words(base), last) % self.videos


def steps_per_epoch(videos, batch_size):
    """Full batches in one epoch of so many videos.

    Raises:
        ValueError: if not even one batch can be filled.
    """
    if not 1 <= batch_size <= videos:
        raise ValueError(
            "`batch_size` must be at least 1 and at most the number of training videos. "
            f"Received: batch_size={batch_size}, videos={videos}"
        )
    return videos // batch_size


def check_shard(shard):
    """Refuses what is not (worker, workers).

    Raises:
        ValueError: naming it.
    """
    worker, workers = shard
    if not 0 <= worker < workers:
        raise ValueError(
            f"`shard` must be (worker, workers) with 0 <= worker < workers. Received: shard={shard}"
        )


def _words(key):
    """Two words from a key, random in all bits: `index_shuffle` looks at few bits of each (8 where
    this was measured), so that with the key itself an order came again every 256 epochs."""
    return tf.random.stateless_uniform([2], key, minval=None, maxval=None, dtype=tf.uint32)
