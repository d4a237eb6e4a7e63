"""JPG frames to 8-bit TV-L1 flow images (Qiao et al. 2021, section 3.1, steps 2 to 4)."""

import functools
import json

import cv2
import numpy as np

from vidrec.clip import FLOW_BOUND, encode_flow
from vidrec.extraction.frames import encode_jpeg
from vidrec.extraction.pool import run
from vidrec.files import new_folder


@functools.cache
def _tvl1():
    """One TV-L1 object a process: it keeps its buffers from pair to pair."""
    create = getattr(getattr(cv2, "optflow", None), "DualTVL1OpticalFlow_create", None)
    if create is None:
        raise ImportError(
            "This OpenCV has no TV-L1: `cv2.optflow.DualTVL1OpticalFlow_create` is missing. "
            "Another OpenCV package has overwritten opencv-contrib-python. Repair it with\n"
            "    pip install --force-reinstall --no-deps 'opencv-contrib-python>=4.12,<5'\n"
            f"Received: cv2 {cv2.__version__} from {cv2.__file__}"
        )
    return create()


ENGINES = {"opencv": _tvl1}  # name -> maker of an object with OpenCV's DenseOpticalFlow interface


def compute_flow(previous, following, *, engine="opencv"):
    """Dense optical flow from one frame to the next.

    Args:
        previous, following: uint8 (H, W), gray, of the same size.
        engine: "opencv", the TV-L1 of `cv2.optflow` (Zach et al. 2007) with its default parameters.

    Returns:
        float32 (H, W, 2), px: u (positive to the right), v (positive downwards).

    Raises:
        ValueError: if the frames are not gray uint8 of one size, or the engine is unknown.
        ImportError: if this OpenCV has no TV-L1; says how to repair it.
    """
    _check_engine(engine)
    gray = previous.ndim == 2 and previous.dtype == following.dtype == np.uint8
    if not gray or previous.shape != following.shape:
        raise ValueError(
            "`previous` and `following` must be uint8 gray images (H, W) of one size. Received: "
            f"{previous.dtype} {previous.shape} and {following.dtype} {following.shape}"
        )
    return ENGINES[engine]().calc(previous, following, None)


def flow_parameters(*, engine="opencv", bound=FLOW_BOUND, quantize="bound"):
    """What the index records of the flow, as canonical JSON: other values mean other flow.

    Raises:
        ValueError: if an option is outside its range.
    """
    _check_engine(engine)
    encode_flow(np.zeros((1, 1, 2)), bound=bound, quantize=quantize)  # refuses what it would refuse
    parameters = {"bound": bound, "quantize": quantize}
    if engine == "opencv":
        tvl1 = _tvl1()
        parameters |= {
            "tau": tvl1.getTau(),
            "lambda": tvl1.getLambda(),
            "theta": tvl1.getTheta(),
            "scales": tvl1.getScalesNumber(),
            "scale_step": tvl1.getScaleStep(),
            "warps": tvl1.getWarpingsNumber(),
            "epsilon": tvl1.getEpsilon(),
            "inner": tvl1.getInnerIterations(),
            "outer": tvl1.getOuterIterations(),
            "median": tvl1.getMedianFiltering(),
        }
    return json.dumps(parameters, sort_keys=True)


def extract_video_flow(store, row, engine, bound, quantize):
    """Writes the flow of one video whose frames are in the store; returns its new Row."""
    cv2.setNumThreads(1)  # one process a core
    row.flow_algorithm = engine
    row.flow_parameters = flow_parameters(engine=engine, bound=bound, quantize=quantize)
    row.cv2_version = cv2.__version__
    try:
        with new_folder(store.folder("flow_x", row.video_id)) as folder:
            previous = _read_gray(store.path("frame", row.video_id, 1))
            for pair in range(1, row.n_frames):
                following = _read_gray(store.path("frame", row.video_id, pair + 1))
                flow = compute_flow(previous, following, engine=engine)
                codes = encode_flow(flow, bound=bound, quantize=quantize)
                for kind, component in (("flow_x", codes[..., 0]), ("flow_y", codes[..., 1])):
                    name = store.path(kind, row.video_id, pair).name
                    (folder / name).write_bytes(encode_jpeg(component))
                previous = following
        row.n_flow = row.n_frames - 1
        if row.status == "failed":  # the flow had: there are frames
            row.status, row.message = "ok", ""
    except (ValueError, OSError, cv2.error) as error:
        row.n_flow, row.message = 0, f"flow of {row.video_id}: {error}"
        if row.status == "ok":  # a partial video stays partial
            row.status = "failed"
    return row


def extract_flow(store, *, engine="opencv", bound=FLOW_BOUND, quantize="bound", workers=None):
    """Extracts the flow of every video in the index that has frames and not yet this flow.

    Args:
        store: Store with the layout "vidrec", frames extracted.
        engine, bound, quantize: see `compute_flow` and `encode_flow`. Flow that the index says was
            made with other ones, or another OpenCV, is made again.
        workers: int or None, processes; None for one a core.

    Returns:
        The index as a DataFrame.

    Raises:
        FileNotFoundError: if the store has no index.
        ValueError: if the store has a layout that vidrec only reads, or an option is outside its
            range.
    """
    if store.layout != "vidrec":  # in others flow lies among the frames, which would be replaced
        raise ValueError(
            "Flow is written in the layout 'vidrec'; the others are for reading sets that other "
            f"tools extracted. Received: layout={store.layout!r}"
        )
    store.index()  # says what to do if there is none
    wanted = (engine, flow_parameters(engine=engine, bound=bound, quantize=quantize))
    todo = [
        (store, row, engine, bound, quantize)
        for row in store.rows().values()
        if row.n_frames > 1 and not _is_done(store, row, wanted)
    ]
    for row in run(extract_video_flow, todo, workers=workers, title="flow"):
        store.append(row)
    return store.compact() if todo else store.index()


def _is_done(store, row, wanted):
    return (
        row.n_flow == row.n_frames - 1
        and (row.flow_algorithm, row.flow_parameters) == wanted
        and row.cv2_version == cv2.__version__
        and store.path("flow_y", row.video_id, row.n_flow).exists()
    )


def _check_engine(engine):
    if engine not in ENGINES:
        raise ValueError(f"`engine` must be one of {sorted(ENGINES)}. Received: engine={engine!r}")


def _read_gray(path):
    data = path.read_bytes() if path.exists() else b""
    if not data.endswith(b"\xff\xd9"):  # OpenCV would decode a truncated JPG without a word
        raise OSError(f"{path} is missing or no whole JPG. Remove its folder and extract again.")
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
