"""What people are shown of a prediction: the pictures that the model got, and what it says."""

import dataclasses
import os
import warnings
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from vidrec.experiment.look import longest_motion
from vidrec.experiment.preview import mean_flow
from vidrec.experiment.sheet_page import LEAST
from vidrec.export.predictor import Prediction
from vidrec.export.video_clip import read_clip
from vidrec.extraction.colour_wheel import flow_colours
from vidrec.pipeline.crops import CENTRAL

TOP = 5  # classes that are named
MOST_MOMENTS = 32  # ten clips of 16 frames have more


@dataclasses.dataclass(frozen=True)
class Moment:
    """Attributes:
    caption: str, its frame, counted from 1, and where that belongs.
    pictures: dict of uint8 (S, S, 3), RGB: "rgb" the frame, "flow" the motion from it on in
        colours; what the model takes of the two.
    """

    caption: str
    pictures: dict


@dataclasses.dataclass(frozen=True)
class ShownPrediction:
    """Attributes:
    messages: list of str, what is to be known of this clip, or why there is no prediction.
    prediction: Prediction, or None.
    moments: list of Moment.
    largest: str, the length of motion that full colour stands for; or None of a clip without flow.
    segments: pandas.DataFrame, see `segment_table`, or None.
    """

    messages: list
    prediction: Prediction | None = None
    moments: list = dataclasses.field(default_factory=list)
    largest: str | None = None
    segments: pd.DataFrame | None = None


def show_prediction(predictor, path, *, segments=True):
    """Predicts a video file, and says why where that cannot be done.

    Args:
        predictor: vidrec.export.predictor.Predictor.
        path: path of a video file.
        segments: bool, whether each segment is asked alone too: as many predictions more.

    Returns:
        ShownPrediction. Its messages name the file without its folder.
    """
    recipe = predictor.recipe
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        try:
            clip, frames = read_clip(path, recipe)
        except (ValueError, OSError, cv2.error) as error:  # cv2's: too small for its flow
            return ShownPrediction([_without_folder(str(error), path)])
    messages = [_without_folder(str(warning.message), path) for warning in told]
    prediction = predictor.of_clip(clip, frames, evidence=segments and recipe.clip.segments > 1)
    moments, largest = show_moments(central_views(clip, recipe), frames, recipe)
    if len(moments) < frames.size:
        messages.append(f"Shown below: {len(moments)} of {frames.size} moments.")
    table = None if prediction.segments is None else segment_table(prediction, recipe)
    return ShownPrediction(messages, prediction, moments, largest, table)


def central_views(clip, recipe):
    """The view in the middle of each clip: dict of (clips * crops, ...) to uint8 (clips, ...)."""
    return {name: np.asarray(x[CENTRAL[recipe.crops] :: recipe.crops]) for name, x in clip.items()}


def show_moments(clip, frames, recipe):
    """The pictures that a model sees.

    A stack of flow is shown as the mean of its L pairs, in the colours of `flow_colours`. Full
    colour is the 99th percentile of all motion shown.

    Args:
        clip: dict of uint8 (clips, T, S, S, C).
        frames: int (clips, T), counted from 0.
        recipe: ClipRecipe.

    Returns:
        (list of Moment, at most MOST_MOMENTS, evenly spread, in order of time; `largest` of
        ShownPrediction).
    """
    places = list(np.ndindex(*np.shape(frames)))
    shown = np.linspace(0, len(places) - 1, min(len(places), MOST_MOMENTS)).round().astype(int)
    places = [places[i] for i in shown]
    captions = [_caption(frames, *place, recipe) for place in places]
    pictures, unit = (
        {name: [images[place] for place in places] for name, images in clip.items()},
        None,
    )
    if "flow" in clip:
        flows = [mean_flow(codes, recipe.flow) for codes in pictures["flow"]]
        largest = max(LEAST, longest_motion(flows))
        pictures["flow"] = [flow_colours(flow, largest=largest) for flow in flows]
        unit = f"{largest:.1f} px" if recipe.flow.quantize == "bound" else f"{largest:.1f}"
    found = [dict(zip(pictures, of, strict=True)) for of in zip(*pictures.values(), strict=True)]
    return [Moment(*each) for each in zip(captions, found, strict=True)], unit


def segment_table(prediction, recipe):
    """What each segment says alone, and all together.

    Args:
        prediction: Prediction with `segments`, float32 (K, N).
        recipe: ClipRecipe.

    Returns:
        pandas.DataFrame of K + 1 rows of str: the segment; its frames, counted from 1; the class
        that it says; and the probabilities of the TOP classes of the whole video.
    """
    likely = [name for name, _ in prediction.top(TOP)]
    columns = [prediction.classes.index(name) for name in likely]
    frames = np.reshape(
        prediction.frames, (-1, recipe.clip.segments, recipe.clip.frames_per_segment)
    )
    rows = []
    for k, (says, scores) in enumerate(
        zip(prediction.segment_tops(), prediction.segments, strict=True)
    ):
        numbers = np.unique(frames[:, k]) + 1
        rows.append([str(k + 1), _numbers(numbers), says[0][0], *_shares(scores[columns])])
    rows.append(["all", "", likely[0], *_shares(prediction.probabilities[columns])])
    return pd.DataFrame(rows, columns=["Segment", "Frames", "Says", *likely])


def facts_of(predictor):
    """What is to be known of an exported model.

    Returns:
        list of (name, text), both str.
    """
    facts, recipe = predictor.facts, predictor.recipe
    clip, found = recipe.clip, []
    paper = facts.get("paper", "not told")  # by 0.1.0
    found.append(("Paper", f"{paper}. A reproduction by vidrec, not the authors' weights."))
    if "data" in facts:
        text = "{dataset}, split {split}: {videos[train]} videos".format(**facts["data"])
        found.append(("Trained on", text))
    found.append(("Accuracy", _accuracy(facts.get("accuracy"))))
    kinds = {"rgb": "RGB", "flow": f"{clip.flow_length} pairs of optical flow"}
    looks = f"{clip.frames} moments of a video, {clip.size}x{clip.size} px: "
    looks += " and ".join(kinds[name] for name in clip.modalities)
    if recipe.clips * recipe.crops > 1:
        looks += f"; {recipe.clips} x {recipe.crops} views of them, averaged"
    if recipe.crops > 1:
        looks += " (the central ones are shown)"
    found.append(("Looks at", looks))
    found += [("Note", note) for note in predictor.notes]
    text = f"It knows {len(predictor.classes)} classes alone: every video gets one of them."
    return [*found, ("Limits", text)]


def _accuracy(found):
    if not found:
        return "not evaluated"
    interval = ""
    if "interval_low" in found:  # not of 0.1.0
        interval = f" (95%: {found['interval_low']:.1%} to {found['interval_high']:.1%})"
    return (
        f"top-1 {found['top1']:.1%}{interval}, top-5 {found['top5']:.1%}, of "
        f"{found['videos']:.0f} test videos; chance {found['chance']:.1%}"
    )


def _caption(frames, number, moment, recipe):
    text = f"frame {frames[number][moment] + 1}"
    if recipe.clip.segments > 1:
        text += f", segment {moment // recipe.clip.frames_per_segment + 1}"
    return f"{text}, clip {number + 1}" if recipe.clips > 1 else text


def _numbers(numbers):
    """Ascending int as str: "3, 5, 9", or the first and the last of many."""
    if len(numbers) > 4:
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))


def _shares(probabilities):
    return [f"{share:.1%}" for share in probabilities]


def _without_folder(message, path):
    for folder in {os.path.dirname(path), os.path.dirname(os.path.realpath(path))}:
        message = message.replace(f"{Path(folder)}{os.sep}", "")
    return message
