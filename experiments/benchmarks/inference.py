"""What an exported model takes beside the Keras model, and a video from its file to its label.

    python experiments/benchmarks/inference.py                           multiseg_xception, 224 px
    python experiments/benchmarks/inference.py --only clips --model hst vcm_sdd --rounds 31
    python experiments/benchmarks/inference.py --only videos --videos UCF-101 --clips 12
    python experiments/benchmarks/inference.py --tiny                    at sizes that tell nothing

Models are those of 101 classes on their own clip, with random weights, on the CPU in float32. The
first tables, of one clip and of --batch clips, are of clips that are in memory, until logits are.
Ways take turns: a round is one call of each, in an order that is drawn. The Keras model is called
in a `tf.function`, and without ("eager"), the SavedModel by `serving_default`, and LiteRT one clip
after the other, for its files take no more. The columns:

    ms a clip, clips/s   of the clock; medians of the rounds
    x Keras              time by that of the Keras model in its `tf.function` in the same round: the
                         median, and in brackets the quartiles, of the rounds; over 1 is slower. The
                         goal of the SavedModel is 1.02 at most; "Keras, again", a `tf.function`
                         of its own of the same model, shows how much of that is noise
    CPU x                the same of processor time of all cores, which other work disturbs least

The next table is of videos: `Predictor.predict` of a file, its parts, each timed by a call of its
own, and what is left ("rest": JPG, in which frames and flow are kept, and stacking). Then the
signature `frames` of the SavedModel, which takes all frames of a video and makes the clip and its
flow in the graph, without and with XLA; decoding the file is added to it. All take one clip, in its
central view. "first" is the first call, of a video that comes again later: tracing, and of XLA the
compilation, are part of it. "s a video" is the median of the videos; "x predict" the time by that
of `predict` for the same video, the median, and in brackets the quartiles, of the videos.

The line below says how nearly `frames`, with XLA to save time, does what the processor's flow does,
on the clips that the network gets. Random weights tell videos apart badly: look at the flow.
"""

import argparse
import dataclasses
import itertools
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import cv2
import numpy as np
import tensorflow as tf
from gpu import CASES, CLASSES, PROJECT, noise
from models import machine
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from train import now

from vidrec import config
from vidrec.datasets import synthetic
from vidrec.datasets.folder import Folder
from vidrec.experiment.clips import recipe_of
from vidrec.export import litert
from vidrec.export.agreement import agreement
from vidrec.export.predictor import Predictor
from vidrec.export.savedmodel import CLIPS, VIDEO, export_savedmodel
from vidrec.export.video_graph import lacks_graph
from vidrec.extraction.progress import progress_bar
from vidrec.extraction.video import read_frames
from vidrec.models import registry

GOAL = 1.02
KERAS, SAVED = "Keras, tf.function", "SavedModel"
SPEC = synthetic.SyntheticSpec(groups=2, test_groups=1, clips=1, frames=60, size=240)
TINY = synthetic.SyntheticSpec(groups=2, test_groups=1, clips=1, frames=16, size=72)


def model_of(name, size, tiny):
    """(keras.Model, ClipRecipe of its experiment's test, but of one clip in its central view)."""
    case = next(case for case in CASES.values() if case.model == name)
    module = registry.get(name)
    changes = case.tiny_clip if tiny else {"size": size} if size else {}
    clip = dataclasses.replace(module.DEFAULT_CLIP, **changes)
    plan = config.load(PROJECT / "experiments" / f"{case.experiment}.yaml", allow_missing=True)
    view = {"short_side": round(clip.size * 8 / 7), "resize": None, "clips": 1, "crops": 1}
    recipe = dataclasses.replace(recipe_of(plan), clip=clip, timing=None, pad=True, **view)
    return module.build(CLASSES, clip, **case.options | (case.tiny if tiny else {})), recipe


def exported(model, recipe, folder, **options):
    """Path of a SavedModel."""
    options |= {"classes": [f"class {number}" for number in range(CLASSES)]}
    export_savedmodel(model, folder, facts=recipe.facts(), recipe=recipe, **options)
    return str(folder)


def ways_of(model, recipe, plain, folder):
    """({way: function of a dict of clips to logits}, {way: why there is none})."""
    loaded = tf.saved_model.load(plain)
    compiled, again = (tf.function(lambda clip: model(clip, training=False)) for _ in range(2))
    ways = {
        KERAS: lambda clip: compiled(clip).numpy(),
        SAVED: lambda clip: loaded.signatures[CLIPS](**clip)["logits"].numpy(),
        "Keras, again": lambda clip: again(clip).numpy(),
        "Keras, eager": lambda clip: model(clip, training=False).numpy(),
    }
    refused = {}
    for quantize, told in (("none", "float"), ("dynamic", "dynamic range")):
        path = folder / f"{quantize}.tflite"
        try:
            litert.export_litert(model, path, clips=noise(recipe.clip, 1)[0], quantize=quantize)
        except (ImportError, RuntimeError, ValueError) as error:
            refused[f"LiteRT {told}"] = str(error).partition(". ")[0].replace("\n", " ")
        else:
            ways[f"LiteRT {told}"] = of_litert(path)
    return ways, refused


def of_litert(path):
    runner = litert.interpreter_of(path.read_bytes()).get_signature_runner(CLIPS)

    def run(clips):
        count = len(next(iter(clips.values())))
        singles = ({name: clip[[i]] for name, clip in clips.items()} for i in range(count))
        return np.concatenate([runner(**clip)["logits"] for clip in singles])

    return run


def turns(ways, clip, batch, rounds, title):
    """{way: (rounds, 2) array of s of the clock and of the processor}; a first call is left out."""
    arrays, _ = noise(clip, batch)
    tensors = {name: tf.constant(value) for name, value in arrays.items()}
    given = {way: arrays if way.startswith("LiteRT") else tensors for way in ways}
    spent, rng = {way: [] for way in ways}, np.random.default_rng(0)
    with progress_bar(title, 1 + rounds, unit="rounds", lines=5) as advance:
        for _ in range(1 + rounds):
            for way in rng.permutation(list(ways)):  # what went before, such as "eager", matters
                began = now()
                logits = ways[way](given[way])
                spent[way].append(now() - began)
                if logits.shape != (batch, CLASSES) or not np.isfinite(logits).all():
                    raise ValueError(f"{way} must give finite logits. Received: {logits}")
            advance()
    return {way: np.array(times[1:]) for way, times in spent.items()}


def quartiles(times, base):
    """Of the ratios of paired times: "median [lower, upper]"."""
    low, middle, high = np.quantile(np.asarray(times) / np.asarray(base), (0.25, 0.5, 0.75))
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"


def table_of_clips(name, batch, spent, refused):
    clips = "one clip" if batch == 1 else f"{batch} clips at a time"
    title = f"{name}: {len(spent[KERAS])} rounds"
    table = titled(title, clips, "ms a clip", "clips/s", "x Keras", "CPU x")
    for way, times in spent.items():
        seconds = np.median(times[:, 0]) / batch
        ratios = [quartiles(times[:, i], spent[KERAS][:, i]) for i in (0, 1)]
        table.add_row(way, f"{1e3 * seconds:.1f}", f"{1 / seconds:.2f}", *ratios)
    for way, why in refused.items():
        table.add_row(way, "-", "-", escape(why), "-")
    return table


def conclude(spent):
    ratio = np.median(spent[SAVED][:, 0] / spent[KERAS][:, 0])
    told = "" if ratio <= GOAL else "not "
    return f"{SAVED} by {KERAS}: {ratio:.3f}. The goal, {GOAL} at most, is {told}met."


def parts_of(path, predictor):
    """{part: s} of what `Predictor.predict` does with a video."""
    recipe, images, spent = predictor.recipe, {}, {}

    def timed(part, call):
        began = time.perf_counter()
        found = call()
        spent[part] = spent.get(part, 0) + time.perf_counter() - began
        return found

    count = timed("decode", lambda: sum(1 for _ in read_frames(path)))
    chosen = recipe.frames(count)
    pairs, chosen = recipe.pairs(chosen, count).numpy(), chosen.numpy()
    with_flow = "flow" in recipe.clip.modalities
    until = max(chosen.max(), pairs.max() + 1 if with_flow else 0) + 1
    frames = timed("decode", lambda: list(itertools.islice(read_frames(path), int(until))))
    if "rgb" in recipe.clip.modalities:
        images["rgb"] = tf.constant(np.stack(frames)[chosen][..., ::-1])
    if with_flow:
        grays = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames]
        each, which = np.unique(pairs, return_inverse=True)
        engine = recipe.flow.available()
        codes = timed("flow", lambda: [engine.codes(grays[i], grays[i + 1]) for i in each])
        stacks = np.moveaxis(np.stack(codes)[which.reshape(pairs.shape)], 2, 4)
        images["flow"] = tf.constant(stacks.reshape(*stacks.shape[:4], -1))
    views = timed("scaling", lambda: recipe.views(images))
    timed("network", lambda: predictor.of_clip(views, chosen))
    return spent


def time_video(path, predictor, serving):
    """{way: s} of a video; a part is named "way: part"."""
    began = time.perf_counter()
    predictor.predict(path)
    found = {"predict": time.perf_counter() - began}
    parts = parts_of(path, predictor)
    parts["rest"] = found["predict"] - sum(parts.values())
    found |= {f"predict: {part}": seconds for part, seconds in parts.items()}
    for told, loaded in serving.items():
        began = time.perf_counter()
        rgb = [cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) for frame in read_frames(path)]
        video, decoded = tf.constant(np.stack(rgb)[None]), time.perf_counter()
        loaded.signatures[VIDEO](video=video)["probabilities"].numpy()
        ended = time.perf_counter()
        found |= {told: ended - began, f"{told}: decode": decoded - began}
        found[f"{told}: graph"] = ended - decoded
    return found


def time_videos(paths, model, recipe, plain, folder):
    """What `time_video` gives of the first video, and once more of it and of the others, a list."""
    predictor, serving, found = Predictor(plain), {}, []
    if not lacks_graph(recipe):
        by_xla = exported(model, recipe, folder / "compiled", compiled=True)
        serving["frames"] = tf.saved_model.load(plain)
        serving["frames, XLA"] = tf.saved_model.load(by_xla)
    with progress_bar("videos", 1 + len(paths), lines=1 + len(paths)) as advance:
        for path in (paths[0], *paths):
            found.append(time_video(path, predictor, serving))
            advance()
    return found


def table_of_videos(name, first, videos, given):
    rows = {way: [video[way] for video in videos] for way in first}
    told = f"{name}: {len(videos)} {'real' if given else 'drawn'} videos"
    table = titled(told, "", "first, s", "s a video", "x predict")
    for way, seconds in rows.items():
        whole, _, part = way.partition(": ")
        # The parts of `predict` are timed when its first call is over.
        early = "" if part and whole == "predict" else f"{first[way]:.3f}"
        ratio = quartiles(seconds, rows["predict"])
        table.add_row(f"   {part}" if part else whole, early, f"{np.median(seconds):.3f}", ratio)
    return table


def agree(model, recipe, paths):
    if why := lacks_graph(recipe):
        return why
    with progress_bar("agreement", len(paths), lines=len(paths)) as advance:
        return agreement(model, recipe, paths, compiled=True, progress=advance)


def titled(title, first, *columns):
    return Table(first, *(Column(told, justify="right") for told in columns), title=title)


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    models = {"choices": list(registry.MODELS), "default": ["multiseg_xception"]}
    parser.add_argument("--model", nargs="+", **models)
    parser.add_argument("--size", type=int, help="px of the clip, default the model's own")
    parser.add_argument("--batch", type=int, default=8, help="clips at a time, default 8")
    parser.add_argument("--rounds", type=int, default=15, help="of clips in memory, default 15")
    parser.add_argument("--videos", help="folder of class folders; default: drawn videos")
    parser.add_argument("--clips", type=int, default=12, help="spread over the folder, default 12")
    parser.add_argument("--only", choices=("clips", "videos"), help="some of the tables")
    parser.add_argument("--tiny", action="store_true", help="sizes that measure nothing")
    options = parser.parse_args(arguments)
    for name in ("size", "batch", "rounds", "clips"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1. Received: {getattr(options, name)}")
    return options


def videos_of(options, folder):
    if options.videos is None:
        synthetic.write_videos(folder, TINY if options.tiny else SPEC)
    table = Folder().videos(options.videos or folder)
    return [*table.path[:: max(1, len(table) // options.clips)][: options.clips]]


def main():
    options, console = parse(), Console(width=100)
    with tempfile.TemporaryDirectory() as temporary:
        paths = [] if options.only == "clips" else videos_of(options, Path(temporary, "drawn"))
        for name in options.model:
            model, recipe = model_of(name, options.size, options.tiny)
            folder, title = Path(temporary, name), f"{name}, {recipe.clip.size} px"
            plain = exported(model, recipe, folder / "plain")
            if options.only != "videos":
                ways, refused = ways_of(model, recipe, plain, folder)
                for batch in dict.fromkeys((1, options.batch)):
                    spent = turns(ways, recipe.clip, batch, options.rounds, title)
                    console.print(table_of_clips(title, batch, spent, refused))
                    print(conclude(spent))
            if paths:
                first, *found = time_videos(paths, model, recipe, plain, folder)
                console.print(table_of_videos(title, first, found, options.videos))
                print(f"`frames` beside `predict`: {agree(model, recipe, paths)}.")
    print(machine())


if __name__ == "__main__":
    main()
