"""The main job from video files to a prediction, in one go; what is done already is skipped."""

import shlex
import time
from pathlib import Path

from vidrec.experiment import videos
from vidrec.experiment.splits import split_videos
from vidrec.extraction.engines import FlowSettings
from vidrec.store import Store


def run(experiment, out, *, config_path="", workers=None):
    """Draws, extracts, trains both streams, evaluates, exports, predicts.

    Args:
        experiment: config.Experiment with `data.synthetic` and both streams.
        out: folder of all runs.
        config_path: str, recorded.
        workers: int or None, processes that extract; None for one a core.

    Raises:
        ValueError: if a video is not whole, or the experiment is not on the embedded data set.
    """
    began = time.monotonic()
    data, out = experiment.data, Path(out)
    store = Store(data.root, data.layout)
    _say(1, "clips", f"draws AVI clips into {data.videos}")
    written = videos.draw_videos(experiment)
    print(f"{written} clips written" if written else "all there")
    _say(2, "frames", f"AVI to JPG, into {data.root}/frames")
    index = videos.extract_frames(videos.Source.of(experiment), store, workers=workers)
    _refuse(videos.problems(index))
    _say(3, "flow", f"TV-L1 of each pair of frames, into {data.root}/flow")
    index = videos.extract_flow(store, FlowSettings(**data.flow.model_dump()), workers=workers)
    _refuse(videos.problems(index))
    print(f"{len(index)} videos, {index.n_frames.sum()} frames, {index.n_flow.sum()} flow pairs")

    # TensorFlow takes seconds to load: only now, and after the processes above have ended.
    from vidrec.evaluation.report import table
    from vidrec.experiment.evaluate import evaluate
    from vidrec.experiment.export import export, published
    from vidrec.experiment.train import train
    from vidrec.export.predictor import Predictor

    _say(4, "spatial stream", "RGB frames, random weights")
    arguments = {"config_path": config_path, "resume": True}
    spatial = train(experiment, "spatial", out, **arguments)
    _say(5, "temporal stream", "flow stacks, from the spatial stream by cross-modality")
    temporal = train(experiment, "temporal", out, **arguments)
    _say(6, "evaluation", "each stream, and 1 : 1.5 fusion by video id")
    summary = evaluate(experiment, out)
    _say(7, "SavedModel", "uint8 clips in, probabilities out")
    model = published(experiment, out)
    if model is None:
        exported = export(out / experiment.name, root=data.root, check=3)
        model = exported.folder
        print(f"largest difference of a logit from Keras {exported.difference:.1e}")
        print(f"raw video against frames and flow from disk: {exported.agreement}")
    else:
        print("exported already")
    clip = split_videos(experiment)[0].test.path.iloc[-1]
    _say(8, "prediction", f"a test clip that no training saw: {clip}")
    print("\n".join(Predictor(model).predict(clip).told(3)))

    print(f"\n{table(summary)}\n")
    evaluation = out / experiment.name / "evaluation"
    for what, path in {
        "clips": data.videos,
        "frames, flow, index": data.root,
        "spatial stream": spatial,
        "temporal stream": temporal,
        "scores, plots": evaluation,
        "SavedModel": model,
    }.items():
        print(f"{what:>20}  {path}")
    print(f"\n{time.monotonic() - began:.0f} s. Next, for instance:\n")
    print(f"  make predict CLIP={shlex.quote(str(clip))} MODEL={shlex.quote(str(model))}")


def _say(number, title, text):
    print(f"\n[{number}/8] {title}: {text}", flush=True)


def _refuse(bad):
    if len(bad):
        raise ValueError("videos that are not whole:\n  " + "\n  ".join(bad.message))
