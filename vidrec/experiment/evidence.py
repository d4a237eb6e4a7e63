"""What a trained stream saw in some test clips that it has right and some that it has wrong."""

import cv2
import numpy as np

from vidrec.config import STREAMS
from vidrec.evaluation.grad_cam import grad_cam
from vidrec.experiment import clips
from vidrec.experiment.attention import heat_map
from vidrec.experiment.preview import mean_flow
from vidrec.experiment.sheet_page import (
    BOLD,
    GREY,
    PLAIN,
    RED,
    Cell,
    Page,
    name_lines,
    side_of,
)
from vidrec.models import registry

COLUMNS = 6  # frames of a clip that are shown


def draw_evidence(trained, experiment, videos, found, path, *, each=3):
    """Draws clips and, over their frames, where the evidence for the predicted class lies.

    They are those of which the stream was surest: as many that it has right, of different classes
    as far as there are, as it has wrong. Frames, and flow in colours, are those of the test's first
    clip, in its central view. Below them is Grad-CAM on the last maps of the network; of T-STAM the
    scores of cells times those of frames, and of VCM-SDD what flow's cells take of RGB's.

    Args:
        trained: runs.TrainedStream.
        experiment: config.Experiment, by which it is tested.
        videos: DataFrame, the rows of the index of the test's videos.
        found: Scores of the stream on these.
        path: the PNG to write; it appears whole or not at all.
        each: int >= 1, clips of each kind.

    Returns:
        list of (video_id, str; right, bool), those that are shown.
    """
    shown = surest(found, each)
    names = found.video_id[shown].tolist()
    table = videos.set_index("video_id", drop=False).loc[names]
    experiment = clips.for_a_look(experiment, crops=1, batch_size=1)
    clip = experiment.clip_spec(trained.stream, test=True)
    source = clips.clip_source(experiment, table, trained.classes, clip, test=True)
    steps, seen = _steps(clip.frames), []
    with source.guard.explained():
        for images, _, facts in clips.evaluation_batches(experiment, source):
            images = {name: x.numpy() for name, x in images.items()}
            seen.append(
                (images, facts["frames"].numpy()[0][steps], _flow(images, steps, experiment))
            )
    side = side_of(clip.size)
    unit = " px" if experiment.data.flow.quantize == "bound" else ""
    flows = [flow for *_, several in seen for flow in several]
    page = Page(max(4, len(steps)), side, flows or None, unit=unit)
    page.header(f"{experiment.name}: what the {trained.stream} stream saw", _legend(trained))
    heats_of = _heats(trained)
    for row, (images, frames, flows) in zip(shown, seen, strict=True):
        pictures = {}
        if "rgb" in images:
            pictures["rgb"] = list(images["rgb"][0][steps])
        if flows:
            pictures["flow"] = [page.colours(flow) for flow in flows]
        lines = list(_facts(found, row))
        for name, those in pictures.items():
            captions = [f"frame {n + 1}" for n in frames]
            cells = [Cell(c, (p,), side, side) for c, p in zip(captions, those, strict=True)]
            page.row(lines or [(name, PLAIN, GREY)], cells, rule=bool(lines))
            lines = []
        under = pictures[STREAMS[trained.stream][0]]
        for title, heat in heats_of(images, int(found.predicted[row])):
            page.row([(title, PLAIN, GREY)], _over(under, heat, steps, side), rule=False)
    page.save(path)
    return [(name, bool(found.right[row])) for name, row in zip(names, shown, strict=True)]


def surest(scores, each):
    """Rows (list of int) of Scores: of those that are right, then of those that are wrong, the ones
    with the highest probability; a class comes again when all others have come."""
    sure, rows = scores.log_probabilities().max(axis=1), []
    for kind in (scores.right, ~scores.right):
        times, order = {}, []
        for row in sorted(np.flatnonzero(kind), key=lambda row: (-sure[row], row)):
            label = int(scores.label[row])
            order.append((times.get(label, 0), len(order), int(row)))
            times[label] = times.get(label, 0) + 1
        rows += [row for *_, row in sorted(order)[:each]]
    return rows


def _steps(frames):
    return np.linspace(0, frames - 1, min(frames, COLUMNS)).round().astype(int)


def _flow(images, steps, experiment):
    """Mean flow of the steps, float32 (H, W, 2) each; none of a clip without flow."""
    if "flow" not in images:
        return []
    return [mean_flow(codes, experiment.data.flow) for codes in images["flow"][0][steps]]


def _heats(trained):
    """A function of a clip and a class that gives (title, float32 (S, h, w))."""
    name, model = trained.experiment.model.name, trained.model
    module = registry.get(name)
    own = {layer.name: layer for layer in model.layers}
    looks = name == "tstam" or (name == "vcm_sdd" and "mff" in own)
    network = module.attention_model(model) if looks else None

    def heats(images, predicted):
        yield "Grad-CAM", grad_cam(model, images, [predicted], module.LAST_MAPS)[0]
        if network is None:
            return
        told = network(images, training=False)
        if name == "tstam":
            cells = np.asarray(told["spatial_scores"])[0].mean(axis=-1)
            yield "attention", cells * np.asarray(told["temporal_scores"])[0][:, None, None]
        else:
            shares = np.asarray(told["flow_mff"]).mean(axis=(1, 2))  # (K, N): of RGB's cells
            height_width = own["rgb_features"].output.shape[2:4]
            yield "attention (MFF)", shares.reshape(-1, *height_width)

    return heats


def _over(pictures, heat, steps, side):
    """Cells of pictures in gray under the colours of their time step's heat."""
    largest = max(float(heat.max()), 1e-12)
    place = steps * len(heat) // (int(steps[-1]) + 1)  # the last of them is the clip's last
    cells = []
    for picture, at in zip(pictures, place, strict=True):
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        caption = f"peak {heat[at].max() / largest:.0%}"
        cells.append(Cell(caption, (heat_map(gray, heat[at], largest),), side, side))
    return cells


def _facts(found, row):
    """Lines of text: what is predicted, and what it is."""
    shares = np.exp(found.log_probabilities()[row])
    predicted, label = int(found.predicted[row]), int(found.label[row])
    right = predicted == label
    yield f"{shares[predicted]:.1%}  {found.classes[predicted]}", BOLD, "black" if right else RED
    if not right:
        yield f"is {found.classes[label]} ({shares[label]:.1%})", PLAIN, "black"
    yield from name_lines(str(found.video_id[row]))


def _legend(trained):
    text = (
        "Clips of the test, of which the stream was surest: first those that it has right, then "
        "those that it has wrong. Colours over gray pictures are the evidence for the predicted "
        "class by Grad-CAM, from none to the most of the clip"
    )
    if trained.experiment.model.name in ("tstam", "vcm_sdd"):
        text += ", and the attention that the network itself has"
    return f"{text}."
