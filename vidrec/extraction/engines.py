"""Optical flow engines behind one name, and what the index records of them."""

import dataclasses
import functools
import json
import sys

import cv2
import numpy as np

from vidrec.clip import FLOW_BOUND, encode_flow
from vidrec.extraction.tvl1_parameters import PARAMETERS


def _fast():
    from vidrec.extraction.tvl1 import TVL1

    return TVL1()


def _opencv():
    create = getattr(getattr(cv2, "optflow", None), "DualTVL1OpticalFlow_create", None)
    if create is None:
        raise ImportError(
            "This OpenCV has no TV-L1: `cv2.optflow.DualTVL1OpticalFlow_create` is missing. "
            "Another OpenCV package has overwritten opencv-contrib-python. Repair it with\n"
            "    pip install --force-reinstall --no-deps 'opencv-contrib-python>=4.12,<5'\n"
            f"Received: cv2 {cv2.__version__} from {cv2.__file__}"
        )
    return create()


def _dis():
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


ENGINES = {  # name -> maker of an object with OpenCV's DenseOpticalFlow interface
    "fast": _fast,
    "opencv": _opencv,
    "dis": _dis,
    "farneback": cv2.FarnebackOpticalFlow_create,
}
_GETTERS = {  # of OpenCV's objects, under the names that the index gives their values
    "opencv": {
        "tau": "Tau",
        "lambda": "Lambda",
        "theta": "Theta",
        "scales": "ScalesNumber",
        "scale_step": "ScaleStep",
        "warps": "WarpingsNumber",
        "epsilon": "Epsilon",
        "inner": "InnerIterations",
        "outer": "OuterIterations",
        "median": "MedianFiltering",
    },
    "dis": {
        "finest_scale": "FinestScale",
        "patch": "PatchSize",
        "stride": "PatchStride",
        "descent": "GradientDescentIterations",
        "refinement": "VariationalRefinementIterations",
    },
    "farneback": {
        "levels": "NumLevels",
        "scale_step": "PyrScale",
        "window": "WinSize",
        "iterations": "NumIters",
        "poly_n": "PolyN",
        "poly_sigma": "PolySigma",
    },
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlowSettings:
    """How flow is computed and coded. Of two videos with equal settings the flow is alike.

    Attributes:
        engine: "fast", TV-L1 compiled by numba; "opencv", the TV-L1 of `cv2.optflow`, its
            reference; "dis" and "farneback", OpenCV's quicker and rougher methods. All with
            OpenCV's default parameters, "dis" with its medium preset.
        bound: float > 0, px; quantize: "bound" or "minmax". See `vidrec.clip.encode_flow`.

    Raises:
        ValueError: if a value is outside its range.
    """

    engine: str = "fast"
    bound: float = FLOW_BOUND
    quantize: str = "bound"

    def __post_init__(self):
        if self.engine not in ENGINES:
            raise ValueError(
                f"`engine` must be one of {sorted(ENGINES)}. Received: engine={self.engine!r}"
            )
        encode_flow(np.zeros((1, 1, 2)), bound=self.bound, quantize=self.quantize)  # refuses

    def available(self):
        """These settings, with "opencv" for "fast" where numba cannot be imported; then says so."""
        if self.engine != "fast":
            return self
        try:
            import numba  # noqa: F401
        except ImportError as error:  # missing, or made for another numpy
            print(
                f"numba cannot be imported here ({error}), so TV-L1 is computed by OpenCV, which "
                "takes many times as long. `pip install --upgrade numba` makes it fast.",
                file=sys.stderr,
            )
            return dataclasses.replace(self, engine="opencv")
        return self

    def parameters(self):
        """All that decides about the flow but the engine's name, as canonical JSON."""
        values = {"bound": self.bound, "quantize": self.quantize}
        if self.engine == "fast":
            values |= PARAMETERS
        else:
            engine = _engine(self.engine)
            values |= {k: getattr(engine, f"get{v}")() for k, v in _GETTERS[self.engine].items()}
        return json.dumps(values, sort_keys=True)

    def codes(self, previous, following):
        """`compute_flow` as 8-bit codes, uint8 (H, W, 2)."""
        flow = compute_flow(previous, following, engine=self.engine)
        return encode_flow(flow, bound=self.bound, quantize=self.quantize)

    def made(self, row):
        """Whether a Row of the index says that its flow was made so.

        Flow of OpenCV's engines may change with its version, and is then another. "fast" takes only
        resizing, remapping and medians from OpenCV.
        """
        same_version = self.engine == "fast" or row.cv2_version == cv2.__version__
        return same_version and (row.flow_algorithm, row.flow_parameters) == (
            self.engine,
            self.parameters(),
        )


DEFAULT_FLOW = FlowSettings()


@functools.lru_cache(maxsize=4)
def _engine(name, shape=None):
    """One object for all images of a size in a process, so that it keeps its buffers.

    Not for all sizes: DIS adapts its parameters to a small image, and keeps them.
    """
    return ENGINES[name]()


def compute_flow(previous, following, *, engine="fast"):
    """Dense optical flow from one frame to the next.

    Args:
        previous, following: uint8 (H, W), gray, of the same size.
        engine: see `FlowSettings`.

    Returns:
        float32 (H, W, 2), px: u (positive to the right), v (positive downwards).

    Raises:
        ValueError: if the frames are not gray uint8 of one size, or the engine is unknown.
        ImportError: if this OpenCV has no TV-L1; says how to repair it.
    """
    if engine not in ENGINES:
        raise ValueError(f"`engine` must be one of {sorted(ENGINES)}. Received: engine={engine!r}")
    gray = previous.ndim == 2 and previous.dtype == following.dtype == np.uint8
    if not gray or previous.shape != following.shape:
        raise ValueError(
            "`previous` and `following` must be uint8 gray images (H, W) of one size. Received: "
            f"{previous.dtype} {previous.shape} and {following.dtype} {following.shape}"
        )
    pair = np.ascontiguousarray(previous), np.ascontiguousarray(following)
    return _engine(engine, previous.shape).calc(*pair, None)
