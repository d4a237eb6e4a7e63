"""Where a stream with attention looks: one picture of a video, with what its parts count."""

import dataclasses
import itertools
import json

import cv2
import keras
import matplotlib
import numpy as np

from vidrec import config
from vidrec.experiment.clips import for_a_look, recipe_of
from vidrec.experiment.preview import mean_flow
from vidrec.experiment.runs import (
    CONFIG,
    PROVENANCE,
    TrainedStream,
    check_length,
    lacking,
    load_stream,
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
from vidrec.export.predictor import Prediction
from vidrec.export.video_clip import read_clip
from vidrec.models import registry

MOST_COLUMNS = 64  # 22,400 px of the largest pictures; matplotlib draws at most 65,536
DRAWN = ("tstam",)  # models with frames' and cells' scores
TOP = 3  # classes that are named
HEAT = matplotlib.colormaps["plasma"]
OPACITY = 0.8  # of full colour over the gray image; of less, by the square root
BAR = 0.12  # inches, the height of the heat map's legend


@dataclasses.dataclass(frozen=True)
class Attention:
    """What a stream makes of one clip of T frames of S px: of h x w cells, by J spatial models."""

    trained: TrainedStream
    experiment: config.Experiment
    stream: str  # "spatial" or "temporal"
    clip: str  # path of the video
    images: np.ndarray  # uint8 (T, S, S, C), RGB or flow codes
    prediction: Prediction
    temporal: np.ndarray  # float32 (T,), sums to 1
    spatial: np.ndarray  # float32 (T, h, w, J), sums to 1 over the cells of a frame


def show_attention(run, clip, path, *, columns=8):
    """Draws what the frames of a video, and the cells of each, count for a trained stream.

    The first row has frames with their temporal scores; of flow, the mean of each stack's L pairs
    in the colours of `flow_colours`, with full colour at the 99th percentile of all motion shown.
    Below it each spatial model has a row of the same images in gray (of flow, the darker the
    longer), and over them the colours of its scores: bilinear between the centres of the cells, one
    scale for the page, full colour at the largest score shown.

    Args:
        run: path of a run folder, see `attend`.
        clip: path of a video file, or of a folder of images.
        path: the PNG to write; it appears whole or not at all.
        columns: int 1 to 64, frames shown: of a longer clip those with the largest temporal scores.

    Returns:
        Prediction, of this clip.

    Raises:
        FileNotFoundError, ValueError, VideoError: as `attend`; if `columns` is outside its range.
    """
    check_integer("columns", columns, 1, MOST_COLUMNS)
    seen = attend(run, clip)
    shown = most_watched(seen.temporal, columns)
    largest = float(seen.spatial[shown].max())
    flow = seen.experiment.data.flow
    images, flows, unit = list(seen.images[shown]), None, ""
    if seen.stream == "temporal":
        flows = [mean_flow(codes, flow) for codes in images]
        unit = " px" if flow.quantize == "bound" else ""
    side = side_of(seen.experiment.clip.size)
    page = Page(max(5, len(shown)), side, flows, unit=unit)  # fewer leave no room for the header
    title = f"{seen.experiment.name}: where the {seen.stream} stream looks"
    page.header(title, " ".join(_legend(seen, len(shown), largest)))
    if flows is None:
        grays = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
    else:
        images = [page.colours(flow) for flow in flows]
        grays = [image.min(axis=2) for image in images]  # white, less the length of motion
    captions = [f"frame {seen.prediction.frames[t] + 1}: {seen.temporal[t]:.2%}" for t in shown]
    page.row(_facts(page, seen, flows), _cells(captions, images, side, side))
    bars, captions = _scale(largest, len(shown))
    page.row([("score of a cell", PLAIN, "black")], _cells(captions, bars, side, BAR))
    for j in range(seen.spatial.shape[3]):
        scores = seen.spatial[shown, ..., j]
        images = [heat_map(*of, largest) for of in zip(grays, scores, strict=True)]
        captions = [f"peak {each.max():.1%}" for each in scores]
        page.row(_model_facts(seen, j), _cells(captions, images, side, side), rule=False)
    page.save(path)
    return seen.prediction


def attend(run, clip):
    """Runs a trained stream on the clip that its test would take of a video.

    That has the test's segments, scaling and flow; its frames are chosen without draws, as in an
    evaluation by "centre", and its view is the central one.

    Args:
        run: path of the run folder of a spatial or temporal stream, of a model whose module has an
            `attention_model`, such as `vidrec.models.tstam`.
        clip: path of a video file, or of a folder of images.

    Returns:
        Attention.

    Raises:
        FileNotFoundError: if `run` holds no complete run.
        ValueError: if the model has no attention, or takes both modalities.
        vidrec.extraction.video.VideoError: if the video cannot be read or is too short.
    """
    trained = load_stream(run)
    experiment = config.load(trained.run / CONFIG)
    stream = json.loads((trained.run / PROVENANCE).read_text(encoding="utf-8"))["stream"]
    network = _network(trained, experiment, stream)
    recipe = recipe_of(for_a_look(experiment, crops=1), stream)
    check_length(trained.model, recipe.clip)
    images, frames = read_clip(clip, recipe)
    found = {name: np.asarray(x)[0] for name, x in network(images, training=False).items()}
    probabilities = np.asarray(keras.ops.softmax(found["logits"]))
    return Attention(
        trained,
        experiment,
        stream,
        str(clip),
        images[recipe.clip.modalities[0]][0].numpy(),
        Prediction(trained.classes, probabilities, tuple(frames[0].tolist())),
        found["temporal_scores"],
        found["spatial_scores"],
    )


def most_watched(temporal, columns):
    """Indices of the `columns` largest of the temporal scores (T,), or of all, in order of time."""
    return np.sort(np.argsort(-temporal, kind="stable")[:columns])


def effective_number(scores):
    """How many of several scores count, float: exp of their entropy, 1 to the number of them.

    Args:
        scores: float, of any shape, >= 0; their sum is 1.
    """
    scores = np.asarray(scores, np.float64).ravel()
    scores = scores[scores > 0]
    return float(np.exp(-np.sum(scores * np.log(scores))))


def heat_map(gray, scores, largest):
    """A gray image, paler, under the colours of scores: the larger they are, the more opaque.

    Args:
        gray: uint8 (S, S).
        scores: float32 (h, w), of the cells that the image is parted into.
        largest: float > 0, the score of full colour.

    Returns:
        uint8 (S, S, 3), RGB.
    """
    height, width = gray.shape
    heat = cv2.resize(scores / np.float32(largest), (width, height))[..., None]  # bilinear, 0 to 1
    opacity, colours = OPACITY * np.sqrt(heat), 255 * HEAT(heat[..., 0])[..., :3]
    pale = 64 + 0.75 * gray[..., None]
    return np.rint((1 - opacity) * pale + opacity * colours).clip(0, 255).astype(np.uint8)


def _network(trained, experiment, stream):
    """The keras.Model that gives a stream's scores."""
    name = experiment.model.name
    if name not in DRAWN:
        raise ValueError(
            "The run must be of a model whose attention can be drawn, one of "
            f"{list(DRAWN)}. Received: {trained.run}, a run of {name}"
        )
    if len(config.STREAMS[stream]) > 1:
        raise ValueError(
            "The run must be of one stream, spatial or temporal. "
            f"Received: {trained.run}, a {stream} stream"
        )
    return registry.get(name).attention_model(trained.model)


def _legend(seen, columns, largest):
    """The header's sentences."""
    frames, height, width, _ = seen.spatial.shape
    plan, cells = seen.experiment, height * width
    some = f"{columns} of {frames} frames, those with the largest temporal score, in order of time"
    yield (
        f"{frames} frames of {plan.clip.size}x{plan.clip.size} px, counted from 1, by sampling "
        f'"{plan.sampling.policy}" without draws. The first row shows '
        f"{some if columns < frames else 'all of them'}."
    )
    if seen.stream == "temporal":
        pairs, px = plan.clip.flow_length, plan.data.flow.quantize == "bound"
        what = "flow pair" if pairs == 1 else f"mean of the {pairs} flow pairs"
        unit = "px of the video" if px else "half ranges of each flow image"
        yield f"A frame's picture is the {what} of its stack, in {unit}."
    yield (
        "Above a frame stands its temporal score: over all frames these sum to 100%, and "
        f"{1 / frames:.2%} (1/{frames}) would be no preference. Each spatial model below has "
        f"scores of the {height}x{width} cells of a frame: they sum to 100% too, and "
        f"{1 / cells:.1%} (1/{cells}) would be no preference. Full colour is {largest:.1%}, the "
        'largest score shown. "Cells count as 5 of 9" says how peaked scores are: their entropy is '
        "that of 5 equal ones."
    )
    for missing, expected in sorted(lacking(seen.trained.data)):
        yield f"Trained on partial data: {missing:,} of {expected:,} videos were missing."


def _facts(page, seen, flows):
    """Lines of text for the left of the frames: what is predicted of which video, and from what."""
    for i, (name, probability) in enumerate(seen.prediction.top(TOP)):
        yield f"{probability:.1%}  {name}", PLAIN if i else BOLD, "black"
    yield from name_lines(seen.clip)
    yield (
        f"frames count as {effective_number(seen.temporal):.1f} of {len(seen.temporal)}",
        PLAIN,
        GREY,
    )
    if flows is not None:
        yield page.motion(flows)


def _model_facts(seen, j):
    counts = [effective_number(scores) for scores in seen.spatial[..., j]]
    yield f"spatial model {j + 1}", BOLD, "black"
    yield f"cells count as {np.mean(counts):.1f} of {seen.spatial[0, ..., j].size}", PLAIN, GREY
    yield f"(mean of {len(counts)} frames)", PLAIN, GREY


def _scale(largest, parts):
    """The colours of heat maps from no score to the largest, in so many parts: pictures uint8
    (1, 256, 3), and what they stand for."""
    bounds = np.linspace(0, largest, parts + 1)
    gray, pictures, captions = np.full((1, 256), 128, np.uint8), [], []
    for low, high in itertools.pairwise(bounds):
        scores = np.linspace(low, high, 256, dtype=np.float32)[None]
        pictures.append(heat_map(gray, scores, largest))
        captions.append(f"{low:.1%} to {high:.1%}")
    return pictures, captions


def _cells(captions, images, width, height):
    pairs = zip(captions, images, strict=True)
    return [Cell(caption, (image,), width, height) for caption, image in pairs]
