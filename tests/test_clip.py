import re

import numpy as np
import pytest

from vidrec.clip import FLOW_ZERO, ClipSpec, decode_flow, encode_flow

STEP = 40 / 255  # px a code, at the default bound of 20 px


def test_the_default_clip_is_the_paper_s():
    spec = ClipSpec()
    assert spec.shape("rgb") == (3, 224, 224, 3)
    assert spec.shape("flow") == (3, 224, 224, 20)
    assert spec.modalities == ("rgb", "flow")
    assert (spec.frames, spec.flow_span) == (3, 10)


def test_shapes_follow_from_the_numbers():
    spec = ClipSpec(segments=5, frames_per_segment=4, size=96, flow_length=7, flow_step=3)
    assert spec.frames == 20
    assert spec.shape("rgb") == (20, 96, 96, 3)
    assert spec.shape("flow") == (20, 96, 96, 14)
    assert spec.flow_span == 19  # pairs 0, 3, ..., 18
    assert ClipSpec(flow_length=1, flow_step=9).flow_span == 1


def test_only_keeps_everything_else():
    spec = ClipSpec(segments=7, size=71, flow_length=3, flow_position="centre", flow_step=2)
    flow = spec.only("flow")
    assert flow.modalities == ("flow",)
    assert flow == ClipSpec(
        segments=7,
        size=71,
        modalities=("flow",),
        flow_length=3,
        flow_position="centre",
        flow_step=2,
    )
    assert spec.modalities == ("rgb", "flow")


def test_equal_specs_are_equal_keys():
    """A list from YAML is as good as a tuple, and a spec can be looked up."""
    given = ClipSpec(modalities=["flow"], size=96)
    assert given == ClipSpec(modalities=("flow",), size=96)
    assert {given: 3}[ClipSpec(modalities=("flow",), size=96)] == 3


@pytest.mark.parametrize(
    "name", ["segments", "frames_per_segment", "size", "flow_length", "flow_step"]
)
@pytest.mark.parametrize("value", [0, -3, 2.0, "3"])
def test_counts_must_be_integers_from_one(name, value):
    text = f"`{name}` must be an integer >= 1. Received: {name}={value!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        ClipSpec(**{name: value})


@pytest.mark.parametrize("modalities", [(), ("flow", "rgb"), ("rgb", "rgb"), ("depth",)])
def test_modalities_are_three_choices(modalities):
    text = (
        "`modalities` must be ('rgb',), ('flow',) or ('rgb', 'flow'). "
        f"Received: modalities={modalities!r}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        ClipSpec(modalities=modalities)


def test_flow_position_is_two_choices():
    text = "`flow_position` must be one of ('start', 'centre'). Received: flow_position='end'"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        ClipSpec(flow_position="end")


def test_codes_of_the_spec():
    codes = encode_flow([-25, -20, 0, 1, 20, 25])
    assert codes.dtype == np.uint8
    assert codes.tolist() == [0, 0, 128, 134, 255, 255]


def test_codes_are_dense_flow_s_formula():
    flow = np.random.default_rng(0).normal(scale=9, size=(11, 13, 2))
    expected = np.rint(255 * (np.clip(flow, -15, 15) + 15) / 30)
    np.testing.assert_array_equal(encode_flow(flow, bound=15), expected)


def test_bound_sets_what_a_code_is_worth():
    assert encode_flow([-6, -5, 0, 2.5, 5, 6], bound=5).tolist() == [0, 0, 128, 191, 255, 255]
    assert decode_flow(np.uint8([0, 128, 255]), bound=5).tolist() == [-5, 0, 5]


def test_minmax_stretches_each_component_by_itself():
    flow = np.random.default_rng(1).normal(size=(9, 12, 2)) * (0.01, 30) + (4, -7)
    codes = encode_flow(flow, quantize="minmax")
    low, high = flow.min(axis=(0, 1)), flow.max(axis=(0, 1))
    np.testing.assert_allclose(codes, 255 * (flow - low) / (high - low), atol=0.51)
    assert codes.min(axis=(0, 1)).tolist() == [0, 0]
    assert codes.max(axis=(0, 1)).tolist() == [255, 255]
    np.testing.assert_array_equal(encode_flow(flow[..., 1], quantize="minmax"), codes[..., 1])


def test_minmax_of_a_constant_field_is_finite():
    assert encode_flow(np.full((4, 5), -3.7), quantize="minmax").max() == 0


@pytest.mark.parametrize("quantize", ["bound", "minmax"])
def test_values_that_are_not_finite_are_counted_and_refused(quantize):
    flow = np.random.default_rng(2).normal(size=(4, 5, 2))
    flow[1, 2, 0], flow[3, 4, 1], flow[0, 0, 0] = np.nan, np.inf, -np.inf
    text = "`flow` must be finite. Received: 3 of 40 values NaN or Inf"
    with pytest.raises(ValueError, match=f"^{text}$"):
        encode_flow(flow, quantize=quantize)


@pytest.mark.parametrize("bound", [0, -20.0, float("nan")])
def test_bound_must_be_positive(bound):
    with pytest.raises(ValueError, match=f"`bound` must be > 0 px. Received: bound={bound!r}"):
        encode_flow([0.0], bound=bound)


def test_quantize_is_two_choices():
    text = "`quantize` must be one of ('bound', 'minmax'). Received: quantize='log'"
    with pytest.raises(ValueError, match=re.escape(text)):
        encode_flow([0.0], quantize="log")


def test_decoding_gives_the_pixels_back_to_half_a_code():
    flow = np.random.default_rng(3).uniform(-20, 20, 5000).astype(np.float32)
    codes = encode_flow(flow)
    error = np.abs(decode_flow(codes) - flow)
    assert error[codes != FLOW_ZERO].max() <= STEP / 2 + 1e-5
    assert error.max() <= STEP + 1e-5  # code 128 is for 0 to 1 code, and decodes to 0


def test_every_code_survives_decoding_and_still_stays_still():
    codes = np.arange(256, dtype=np.uint8)
    pixels = decode_flow(codes)
    assert pixels.dtype == np.float32
    assert (pixels[0], pixels[128], pixels[255]) == (-20, 0, 20)
    assert pixels[127] == pytest.approx(-STEP / 2, abs=1e-5)
    assert pixels[129] == pytest.approx(1.5 * STEP, abs=1e-5)
    np.testing.assert_array_equal(encode_flow(pixels), codes)
