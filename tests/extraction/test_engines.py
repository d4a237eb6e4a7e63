"""Engines: the meaning of flow on images whose motion is known, and what the index records."""

import json
import re
import sys
import types

import cv2
import numpy as np
import pytest

from tests.extraction.conftest import H, W, moved, texture
from vidrec.clip import encode_flow
from vidrec.extraction import engines
from vidrec.extraction.engines import ENGINES, FlowSettings, compute_flow
from vidrec.store import Row

TVL1 = {
    "bound": 20.0,
    "quantize": "bound",
    "tau": 0.25,
    "lambda": 0.15,
    "theta": 0.3,
    "scales": 5,
    "scale_step": 0.8,
    "warps": 5,
    "epsilon": 0.01,
    "inner": 30,
    "outer": 10,
    "median": 5,
}


@pytest.mark.parametrize("engine", ENGINES)
def test_u_is_positive_to_the_right_and_v_downwards(pair, engine):
    flow = compute_flow(*pair, engine=engine)
    assert flow.shape == (H, W, 2)
    assert flow.dtype == np.float32
    tolerance = 0.05 if engine in ("fast", "opencv") else 0.5
    np.testing.assert_allclose(np.median(flow, axis=(0, 1)), (3, 2), atol=tolerance)
    back = compute_flow(*reversed(pair), engine=engine)
    np.testing.assert_allclose(np.median(back, axis=(0, 1)), (-3, -2), atol=tolerance)


@pytest.mark.parametrize(("dx", "dy"), [(4, 0), (0, -3), (-2, 1)])
def test_u_and_v_are_not_swapped(dx, dy):
    image = texture(1)
    flow = compute_flow(moved(image, 0, 0), moved(image, dx, dy))
    np.testing.assert_allclose(np.median(flow, axis=(0, 1)), (dx, dy), atol=0.05)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_pair_s_flow_does_not_depend_on_the_pair_before(pair, engine):
    """One object serves all pairs: nothing may be left in it, nor in what the index records."""
    first = compute_flow(*pair, engine=engine)
    parameters = FlowSettings(engine=engine).parameters()
    other = texture(2)
    compute_flow(moved(other, 5, -4), moved(other, -3, 1), engine=engine)
    compute_flow(*[np.ascontiguousarray(other.T)] * 2, engine=engine)
    compute_flow(pair[1], pair[0], engine=engine)
    compute_flow(pair[1][:32, :32], pair[0][:32, :32], engine=engine)
    np.testing.assert_array_equal(compute_flow(*pair, engine=engine), first)
    assert FlowSettings(engine=engine).parameters() == parameters


def test_images_that_are_not_gray_uint8_of_one_size(pair):
    first, second = pair
    text = "`previous` and `following` must be uint8 gray images (H, W) of one size. Received: "
    cases = [
        (first, second[:-1], "uint8 (60, 80) and uint8 (59, 80)"),
        (np.dstack([first] * 3), np.dstack([second] * 3), "uint8 (60, 80, 3) and uint8 (60, 80,"),
        (first.astype(float), second.astype(float), "float64 (60, 80) and float64 (60, 80)"),
        (first, second.astype(np.float32), "uint8 (60, 80) and float32 (60, 80)"),
    ]
    for previous, following, received in cases:
        with pytest.raises(ValueError, match=re.escape(text + received)):
            compute_flow(previous, following)
    known = "['dis', 'farneback', 'fast', 'opencv']. Received: engine='raft'"
    with pytest.raises(ValueError, match=re.escape(known)):
        compute_flow(first, second, engine="raft")


@pytest.mark.parametrize("optflow", [None, types.SimpleNamespace()])
def test_without_tvl1_the_repair_is_told(pair, monkeypatch, optflow):
    """No contrib modules at all, or an OpenCV half overwritten by another one, as on Colab."""
    monkeypatch.setattr(cv2, "optflow", optflow)
    engines._engine.cache_clear()
    text = (
        "`cv2.optflow.DualTVL1OpticalFlow_create` is missing. Another OpenCV package has "
        "overwritten opencv-contrib-python. Repair it with\n"
        "    pip install --force-reinstall --no-deps 'opencv-contrib-python>=4.12,<5'\n"
        f"Received: cv2 {cv2.__version__} from {cv2.__file__}"
    )
    with pytest.raises(ImportError, match=re.escape(text)):
        compute_flow(*pair, engine="opencv")
    assert compute_flow(*pair).shape == (H, W, 2)  # the fast engine needs no contrib module
    monkeypatch.undo()
    assert compute_flow(*pair, engine="opencv").shape == (H, W, 2)  # an error is not cached


def test_the_two_tvl1_record_the_same_parameters_and_the_others_their_own():
    recorded = {name: json.loads(FlowSettings(engine=name).parameters()) for name in ENGINES}
    assert recorded["fast"] == recorded["opencv"] == TVL1
    assert recorded["farneback"] == {
        "bound": 20.0,
        "quantize": "bound",
        "levels": 5,
        "scale_step": 0.5,
        "window": 13,
        "iterations": 10,
        "poly_n": 5,
        "poly_sigma": 1.1,
    }
    assert recorded["dis"] == {
        "bound": 20.0,
        "quantize": "bound",
        "finest_scale": 1,
        "patch": 8,
        "stride": 3,
        "descent": 25,
        "refinement": 5,
    }


def test_codes_are_those_of_the_settings(pair):
    settings = FlowSettings(engine="farneback", bound=7.0)
    expected = encode_flow(compute_flow(*pair, engine="farneback"), bound=7.0)
    np.testing.assert_array_equal(settings.codes(*pair), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "raft"}, "`engine` must be one of ['dis', 'farneback', 'fast', 'opencv']. Rec"),
        ({"bound": 0.0}, "`bound` must be > 0 px. Received: bound=0.0"),
        ({"quantize": "log"}, "`quantize` must be one of ('bound', 'minmax'). Received: quant"),
    ],
)
def test_settings_outside_their_range(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        FlowSettings(**options)


def test_what_the_index_says_is_compared_with_all_parameters(monkeypatch):
    fast, opencv = FlowSettings(), FlowSettings(engine="opencv")
    rows = {
        settings.engine: Row(
            video_id="A/v",
            label="A",
            flow_algorithm=settings.engine,
            flow_parameters=settings.parameters(),
            cv2_version=cv2.__version__,
        )
        for settings in (fast, opencv)
    }
    assert fast.made(rows["fast"])
    assert opencv.made(rows["opencv"])
    assert not fast.made(rows["opencv"])
    assert not FlowSettings(bound=15.0).made(rows["fast"])
    assert not FlowSettings(quantize="minmax").made(rows["fast"])
    monkeypatch.setattr(cv2, "__version__", "4.9.9")  # whose TV-L1 may be another; ours is ours
    assert fast.made(rows["fast"])
    assert not opencv.made(rows["opencv"])


def test_without_numba_opencv_is_used_and_said(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "numba", None)  # an ImportError, as of one for another numpy
    assert FlowSettings(bound=9.0).available() == FlowSettings(engine="opencv", bound=9.0)
    assert capsys.readouterr().err.startswith(
        "numba cannot be imported here (import of numba halted"
    )
    assert FlowSettings(engine="dis").available() == FlowSettings(engine="dis")
    assert capsys.readouterr().err == ""
    monkeypatch.undo()
    assert FlowSettings().available() == FlowSettings()
