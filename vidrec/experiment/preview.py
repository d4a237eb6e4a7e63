"""A preview: one picture of the clips that the streams of an experiment get, before they train."""

import dataclasses

import numpy as np

from vidrec.clip import decode_flow
from vidrec.config import STREAMS
from vidrec.experiment.clips import (
    clip_source,
    for_a_look,
    training_batches,
    validation_batches,
)
from vidrec.experiment.sheet_page import (
    BOLD,
    GREY,
    PLAIN,
    Cell,
    Page,
    check_integer,
    name_lines,
    side_of,
)
from vidrec.experiment.splits import split_videos
from vidrec.pipeline.order import steps_per_epoch

MOST_CLIPS = 32  # of two streams, 64 rows are 24,000 px high; matplotlib draws at most 65,536
MOST_STEPS = 8


@dataclasses.dataclass(frozen=True)
class Example:
    """What is shown of one modality of one clip of one stream."""

    stream: str
    modality: str
    number: int  # from 1, in the order of the batches
    video_id: str
    label: int
    steps: int  # T; at most MOST_STEPS of them are shown
    captions: list[str]
    images: list  # uint8 (H, W, 3) RGB, or float32 (H, W, 2) flow

    @property
    def clip(self):
        """What rows of one clip have in common."""
        return self.number, self.video_id, self.label


def preview(experiment, path, *, clips=4, stream=None, epoch=0, test=False):
    """Draws the first clips of an epoch of training, or of the test, as the networks get them.

    They are taken from the very batches of training (its first stage) or of evaluation (its first
    draw). Each clip of each stream is a row, the streams in turn. Streams are trained apart: they
    see the same moments if their stages have the same epochs and batch size, else rows tell of
    different clips. Of a clip of more than 8 time steps, 8 are shown, evenly from the first to the
    last. A stack of flow is shown as the mean of its L pairs; full colour is the 99th percentile of
    all motion shown.

    Args:
        experiment: config.Experiment, its frames and flow extracted. `data.cache` does not count:
            nothing is copied or held in memory for a few clips; nor does `data.finish`.
        path: the PNG to write; it appears whole or not at all.
        clips: int, 1 to 32, and at most the clips of an epoch or the videos of the test.
        stream: "spatial", "temporal", "joint", or None for all that are trained here, or tested.
        epoch: int >= 0, of the first stage.
        test: bool, what evaluation sees instead of training.

    Raises:
        FileNotFoundError: if nothing is extracted, or videos are missing.
        ValueError: if an option is outside its range or there is no such stream, or the videos
            cannot give the clips.
        OSError: naming an image that cannot be read.
    """
    streams = _streams(experiment, stream, test)
    check_integer("clips", clips, 1, MOST_CLIPS)
    for name in streams:
        if test:
            check_integer("epoch", epoch, 0, 0, ": a test has no epochs")
        else:
            last = experiment.streams[name].stages[0].epochs - 1
            check_integer("epoch", epoch, 0, last, f", those of the {name} stream's first stage")
    experiment = for_a_look(experiment)
    split, classes = split_videos(experiment)
    examples, notes = [], []
    for name in streams:
        clip = experiment.clip_spec(name, test=test)
        videos = split.test if test else split.train
        source = clip_source(experiment, videos, classes, clip, test=test)
        batches, there, note = _batches(experiment, source, name, epoch, test)
        most, why = min(there, MOST_CLIPS), f": the {name} stream has {there} {note}"
        check_integer("clips", clips, 1, most, why)
        with source.guard.explained():
            found = batches.unbatch().take(clips).as_numpy_iterator()
            examples.append([_examples(experiment, name, i, *e) for i, e in enumerate(found, 1)])
        notes.append(f"{name.capitalize()} stream: the first {clips} of {there} {note}.")
    rows = [row for of_clip in zip(*examples, strict=True) for found in of_clip for row in found]
    page = _page(experiment, rows)
    seen = f"{experiment.name}: what {'evaluation' if test else 'training'} sees"
    page.header(seen, f"{' '.join(notes)} {_legend(experiment, rows)}")
    above = None
    for row in rows:
        alike = above is not None and row.clip == above.clip
        page.row(_facts(page, row, classes, alike), list(_cells(page, row)), rule=not alike)
        above = row
    page.save(path)


def _streams(experiment, stream, test):
    known = [name for name, plan in experiment.streams.items() if test or plan.stages]
    if not known or stream not in (None, *known):
        raise ValueError(
            f"`stream` must be one that {experiment.name} {'tests' if test else 'trains'}: {known}."
            f" Received: stream={stream!r}"
        )
    return known if stream is None else [stream]


def _batches(experiment, source, stream, epoch, test):
    """The batches, with facts; how many clips an epoch of them has, and what these are, str."""
    if test:
        settings = experiment.evaluation
        draw = f", draw 1 of {settings.draws}" if settings.sampling == "random" else ""
        views = f", the central one of {settings.crops} views" if settings.crops > 1 else ""
        note = f'test videos, sampling "{settings.sampling}"{draw}{views}'
        return validation_batches(experiment, source), len(source), note
    stage = experiment.streams[stream].stages[0]
    there = steps_per_epoch(len(source), stage.batch_size) * stage.batch_size
    options = {"number": 0, "first_epoch": epoch, "facts": True}
    note = f'clips of epoch {epoch} of stage "{stage.name}", in batches of {stage.batch_size}'
    return training_batches(experiment, source, stage, **options), there, note


def _examples(experiment, stream, number, clip, label, facts):
    """The Examples of a clip, dict of uint8 (T, H, W, C), and of what was told of it."""
    steps, name = len(facts["frames"]), facts["video_id"].decode()
    shown = np.linspace(0, steps - 1, min(steps, MOST_STEPS)).round().astype(int)
    for modality in STREAMS[stream]:
        images = clip[modality]
        if modality == "rgb":
            captions = [f"frame {frame + 1}" for frame in facts["frames"][shown]]
            images = list(images[shown])
        else:
            captions = [_pairs(pairs, experiment.clip.flow_step) for pairs in facts["pairs"][shown]]
            images = [mean_flow(codes, experiment.data.flow) for codes in images[shown]]
        yield Example(stream, modality, number, name, int(label), steps, captions, images)


def _pairs(pairs, step):
    first, last = pairs[0] + 1, pairs[-1] + 1
    text = f"pair {first}" if first == last else f"pairs {first}-{last}"
    every = f", step {step}" if step > 1 else ""
    return f"{text}{every}{', repeated' if len(set(pairs)) < len(pairs) else ''}"


def mean_flow(codes, flow):
    """uint8 (H, W, 2L) to float32 (H, W, 2): px, or for "minmax" -1 to 1."""
    bound = flow.bound if flow.quantize == "bound" else 1.0
    return decode_flow(codes, bound=bound).reshape(*codes.shape[:2], -1, 2).mean(axis=2)


def _page(experiment, rows):
    flows = [image for row in rows if row.modality == "flow" for image in row.images]
    unit = " px" if experiment.data.flow.quantize == "bound" else ""
    columns = max(2, *(len(row.images) for row in rows))  # one leaves no room for the header
    return Page(columns, side_of(len(rows[0].images[0])), flows or None, unit=unit)


def _legend(experiment, rows):
    size = experiment.clip.size
    text = (
        f"Seed {experiment.seed}, images of {size}x{size} px. Frames and pairs of frames are "
        "counted from 1, as their files are; epochs and labels from 0."
    )
    if all(row.modality == "rgb" for row in rows):
        return text
    pairs, flow = experiment.clip.flow_length, experiment.data.flow
    what = "the flow pair" if pairs == 1 else f"the mean of the {pairs} flow pairs"
    px = flow.quantize == "bound"
    unit = "px of the extracted frames" if px else "half ranges of each flow image"
    return f"{text} Colours are {what} of a time step, in {unit}."


def _facts(page, row, classes, alike):
    """Lines of text for the left of a row, without those that it shares with the row above."""
    if not alike:
        yield classes[row.label], BOLD, "black"
        yield from name_lines(row.video_id)
        yield f"label {row.label}, clip {row.number}", PLAIN, "black"
    of = {"rgb": "RGB", "flow": "flow"}[row.modality]
    yield f"{row.stream} stream{f', {of}' if row.stream == 'joint' else ''}", PLAIN, GREY
    if len(row.images) < row.steps:
        yield f"{len(row.images)} of {row.steps} time steps", PLAIN, GREY
    if row.modality == "flow":
        yield page.motion(row.images)


def _cells(page, row):
    side = side_of(len(row.images[0]))
    for caption, image in zip(row.captions, row.images, strict=True):
        picture = image if row.modality == "rgb" else page.colours(image)
        yield Cell(caption, (picture,), side, side)
