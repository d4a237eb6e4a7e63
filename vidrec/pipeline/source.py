"""The videos that clips are made of, and how one clip of one of them is read."""

import dataclasses
import warnings
import weakref

import numpy as np
import tensorflow as tf

from vidrec.layouts import PACKED
from vidrec.packs import KINDS, check_loose
from vidrec.pipeline import sampling
from vidrec.pipeline.decoding import Encoded
from vidrec.pipeline.guard import Guard, fault
from vidrec.pipeline.loose import LooseImages
from vidrec.pipeline.memory import MemoryImages
from vidrec.pipeline.packed import PackedImages, locate
from vidrec.pipeline.policies import Sampling

SHORT_VIDEOS = ("error", "pad")
ON_MISSING = ("error", "skip")


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
        on_missing: what training does where a clip cannot be read. "error" stops and names the
            image; "skip" takes another video, says so and counts (`guard`).
        in_memory: bool, hold all JPGs in memory: read once, now.
        clips: int, of a video in a test without draws, see `Sampling.frames`.
        fast_dct: bool, see `vidrec.pipeline.decoding.Encoded`.

    Raises:
        ValueError: naming the videos whose label is not in `classes`, whose flow does not count
            n_frames - 1, which are too short, or whose images a pack lacks; if there is none,
            `timing` does not fit `clip`, or the images do not fit into memory.
        OSError: naming an image that is not there to be held in memory.
    """

    store: object
    table: object
    classes: tuple
    clip: object
    short_video: str = "error"
    sampling: Sampling = Sampling()
    timing: object = None
    on_missing: str = "error"
    in_memory: bool = False
    fast_dct: bool = False
    clips: int = 1
    guard: Guard = dataclasses.field(init=False, repr=False, compare=False)
    _images: object = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self):
        object.__setattr__(self, "classes", tuple(self.classes))
        object.__setattr__(self, "timing", self.timing or self.clip)
        for name, known in (("short_video", SHORT_VIDEOS), ("on_missing", ON_MISSING)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"`{name}` must be one of {known}. Received: {name}={getattr(self, name)!r}"
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
        short = table[self.sampling.repeats(table.n_frames, self.timing)]
        if len(short):
            _warn(short, f"a clip of {self.clip.frames} takes some of their images more than once")
        object.__setattr__(self, "_images", self._open())
        explain = weakref.WeakMethod(self._explain)  # no cycle: the images may be in memory
        guard = Guard(list(table.video_id), lambda *clip: explain()(*clip))
        object.__setattr__(self, "guard", guard)

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

    def warn_of_short_parts(self):
        """Names the videos whose images repeat in training alone, where a clip is of a part."""
        sampling, lengths = self.sampling, self.table.n_frames
        always, in_training = (
            sampling.repeats(lengths, self.timing, training=training) for training in (False, True)
        )
        short = self.table[in_training & ~always]
        if len(short):
            _warn(
                short,
                f"in training a clip of {self.clip.frames}, of one of {sampling.parts} parts of "
                "the video, takes some of their images more than once",
            )

    def read(self, tensors, video, draw, *, training=False, view=0):
        """Chooses the images of a clip, then reads those.

        Args:
            tensors: what `tensors` returned.
            video: integer scalar, the video's number.
            draw: integer (2,), the key of the draws, or None for a test, without draws.
            training: bool, whether the clip is to train on; see `Sampling.frames`.
            view: int, which of the `clips`.

        Returns:
            (decoding.Encoded, facts): its video_id, string, and which images it is of, counted from
            0: frames, int32 (T,), and, if it has flow, pairs, int32 (T, L).
        """
        chosen = self._choose(tensors["n_frames"][video], draw, training, view)
        rgb = flow = None
        if "rgb" in self.clip.modalities:
            runs = tf.reshape(chosen["frames"], [-1, self.sampling.run(self.clip)])
            rgb = self._images.frames(video, runs)
        if "flow" in self.clip.modalities:
            flow = self._images.flow(video, chosen["pairs"])
        name = tensors["video_id"][video]
        return Encoded(rgb, flow, name, fast_dct=self.fast_dct), {"video_id": name, **chosen}

    def _choose(self, n_frames, draw, training, view):
        uniform = None if draw is None else lambda n: tf.random.stateless_uniform([n], draw)
        which = {"training": training, "view": view, "views": self.clips}
        chosen = {"frames": self.sampling.frames(n_frames, self.timing, uniform, **which)}
        if "flow" in self.clip.modalities:
            pairs = sampling.flow_windows(chosen["frames"], self.clip, n_frames)
            shape = [self.clip.frames, self.clip.flow_length]
            chosen["pairs"] = tf.ensure_shape(pairs, shape)
        return chosen

    def _explain(self, video, draw):
        """What is wrong with the images of a clip, str, or None: with those that the draw gives in
        training, and those that it gives in a test, since the guard does not say which it was."""
        n_frames, places = int(self.table.n_frames.iloc[video]), {}  # in order, each once
        kinds = [(False, view) for view in range(self.clips)]
        for training, view in kinds if draw is None else [(True, 0), *kinds]:
            chosen = self._choose(n_frames, draw, training, view)
            indices = {"rgb": chosen["frames"], "flow": chosen.get("pairs")}
            for modality in self.clip.modalities:
                for index in np.unique(indices[modality]):
                    places[KINDS[modality], int(index)] = None
        return fault(self._images, video, places)

    def _open(self):
        """What reads the videos' images, by video number and indices."""
        if self.store.layout == PACKED:
            places = locate(self.store.root, self.table, self.clip.modalities)
            images = PackedImages(places, self.table.video_id)
        else:
            check_loose(self.store.root)
            images = LooseImages(self.store, self.table.video_id)
        return MemoryImages(images, self.table, self.clip.modalities) if self.in_memory else images


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


def _warn(rows, consequence):
    warnings.warn(
        f"{len(rows)} videos are so short that {consequence}. {_listed(rows)}", stacklevel=4
    )


def _listed(rows):
    return f"Received: {list(rows.video_id[:5])}{' ...' if len(rows) > 5 else ''}"
