"""VCM-SDD: the invariants of the specification's section 4.4, with 64 px and 2 x 2 cells."""

import dataclasses

import keras
import numpy as np
import pytest

from tests.models.conftest import logits, random_clips
from tests.models.small_vcm_sdd import CLASSES, CLIP, FRAMES, NODES, build, liven, segments
from vidrec.models import vcm_sdd
from vidrec.models.backbones.resnet101 import resnet101
from vidrec.models.backbones.resnet101_weights import arrays_of

MODALITIES = ("rgb", "flow")


@pytest.fixture(scope="module")
def clips():
    """Two videos of two segments each."""
    return random_clips(dataclasses.replace(CLIP, segments=2))


@pytest.fixture(scope="module")
def model(clips):
    keras.utils.set_random_seed(3)
    model = build()
    liven(model, clips)
    return model


def like(model, clips, **options):
    """The model with other options and the weights of the layers that both have."""
    other = build(**options)
    for layer in other.layers:
        if layer.weights and layer.name in {x.name for x in model.layers}:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return other


@pytest.fixture(scope="module")
def without(model, clips):
    """The ablations of Table 2, by (stc, mff)."""
    return {
        (stc, mff): like(model, clips, stc=stc, mff=mff)
        for stc in (True, False)
        for mff in (True, False)
    }


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_logits_are_float32(model, clips):
    out = model(clips, training=False)
    assert (out.dtype, tuple(out.shape)) == ("float32", (2, CLASSES))
    assert np.ptp(out, axis=0).max() > 0.01  # the videos are told apart


@pytest.mark.parametrize("stride_in_3x3", [True, False])
def test_normalisation_is_inside_the_model(stride_in_3x3):
    model = build(stride_in_3x3=stride_in_3x3)
    pixel = {"rgb": [255, 128, 0], "flow": [255, 128, 0, 64]}
    clip = {name: np.empty((1, FRAMES, 64, 64, len(x)), np.uint8) for name, x in pixel.items()}
    for name, values in pixel.items():
        clip[name][..., :] = values
    if stride_in_3x3:
        mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
        rgb = (np.array(pixel["rgb"]) / 255 - mean) / std
        flow = (np.array(pixel["flow"]) / 255 - 0.5) / 0.226
    else:
        rgb = np.array(pixel["rgb"]) - [123.68, 116.779, 103.939]
        flow = np.array(pixel["flow"]) - 127.5
    outputs = [model.get_layer(f"{name}_normalize").output for name in MODALITIES]
    for found, wanted in zip(keras.Model(model.input, outputs)(clip), (rgb, flow), strict=True):
        assert found.shape[:3] == (FRAMES, 64, 64)
        np.testing.assert_allclose(found[3, 5, 6], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("fuse", ["logits", "probs"])
@pytest.mark.parametrize("literal", [False, True])
def test_the_head_is_the_paper_s_equations(model, clips, fuse, literal):
    """Equations 9 to 14 in NumPy, on the maps that the backbones give."""
    model = like(model, clips, fuse=fuse, literal_eq12=literal)
    maps = [model.get_layer(f"{name}_features").output for name in MODALITIES]
    found = keras.Model(model.input, maps)(clips, training=False)
    fused = []
    for name, x in zip(MODALITIES, found, strict=True):
        shares = np.asarray(model.get_layer(f"{name}_stc").attention())
        fused.append(shares @ np.asarray(x).reshape(4, NODES, 256))  # eq. 9, 10
    scores = np.zeros((2, 4, CLASSES))
    attended = np.zeros((2, 4, NODES, 256))
    for b in range(4):
        for head in range(8):
            own = slice(32 * head, 32 * head + 32)
            r, f = fused[0][b, :, own], fused[1][b, :, own]
            raw = r @ f.T
            scaled = raw / np.sqrt(np.linalg.norm(raw))
            attended[0, b, :, own] = softmax(scaled) @ f  # eq. 11
            attended[1, b, :, own] = softmax(scaled if literal else scaled.T) @ r  # eq. 12
    for m, name in enumerate(MODALITIES):
        kernel, bias = model.get_layer(f"{name}_head").get_weights()
        scores[m] = attended[m].mean(axis=1) @ kernel + bias  # eq. 14
    scores = scores.reshape(2, 2, 2, CLASSES)  # modalities, videos, segments
    if fuse == "logits":
        wanted = scores.mean(axis=(0, 2))
    else:
        wanted = np.log(softmax(scores).mean(axis=(0, 2)))
    np.testing.assert_allclose(logits(model, clips), wanted, atol=1e-4)


def test_a_video_is_the_mean_of_its_segments(model, clips):
    apart = [logits(model, segments(clips, [k])) for k in (0, 1)]
    assert np.abs(apart[0] - apart[1]).max() > 0.01
    np.testing.assert_allclose(logits(model, clips), np.mean(apart, axis=0), atol=1e-5)
    copies = logits(model, segments(clips, [1] * 5))
    np.testing.assert_allclose(copies, apart[1], atol=1e-5)
    turned = logits(model, segments(clips, [1, 0]))
    np.testing.assert_allclose(turned, logits(model, clips), atol=1e-5)


def test_probabilities_may_be_averaged_instead(model, clips):
    other = like(model, clips, fuse="probs", mff=False)
    for name in MODALITIES:  # so that the two means differ
        kernel, bias = other.get_layer(f"{name}_head").get_weights()
        other.get_layer(f"{name}_head").set_weights([5 * kernel, bias])
    apart = [softmax(logits(other, segments(clips, [k]))) for k in (0, 1)]
    found = softmax(logits(other, clips))
    np.testing.assert_allclose(found, np.mean(apart, axis=0), atol=1e-5)
    by_logits = like(other, clips, mff=False)
    assert np.abs(softmax(logits(by_logits, clips)) - found).max() > 1e-3
    np.testing.assert_allclose(np.exp(logits(other, clips)).sum(axis=-1), 1, atol=1e-6)


ORDER = [3, 0, 5, 1, 4, 2]


@pytest.mark.parametrize("changed", [("rgb",), ("flow",), MODALITIES])
@pytest.mark.parametrize("mff", [True, False])
def test_order_of_frames_counts_with_stc_alone(without, clips, mff, changed):
    one = segments(clips, [0])
    turned = {name: clip[:, ORDER] if name in changed else clip for name, clip in one.items()}
    blind, seeing = without[False, mff], without[True, mff]
    np.testing.assert_allclose(logits(blind, turned), logits(blind, one), atol=2e-5)
    assert np.abs(logits(seeing, turned) - logits(seeing, one)).max() > 1e-4


def test_without_stc_and_mff_it_is_a_temporal_segment_network(without, clips):
    """Equation 13: the mean of both modalities' scores of all frames."""
    model = without[False, False]
    scores = []
    for name in MODALITIES:
        maps = keras.Model(model.input, model.get_layer(f"{name}_features").output)(clips)
        kernel, bias = model.get_layer(f"{name}_head").get_weights()
        frames = np.asarray(maps).mean(axis=(2, 3)).reshape(2, 2 * FRAMES, 256)
        scores.append((frames @ kernel + bias).mean(axis=1))
    np.testing.assert_allclose(logits(model, clips), np.mean(scores, axis=0), atol=1e-4)
    alone = {**clips, "flow": 255 - clips["flow"]}
    assert np.abs(logits(model, alone) - logits(model, clips)).max() > 0.01


def test_what_each_part_adds(without, clips):
    found = {key: logits(model, clips) for key, model in without.items()}
    pairs = [(a, b) for a in found for b in found if a < b]
    assert min(np.abs(found[a] - found[b]).max() for a, b in pairs) > 1e-4


def test_attention_is_given_on_request(model, clips):
    look = vcm_sdd.attention_model(model)
    found = {name: np.asarray(x) for name, x in look(clips).items()}
    shapes = {name: x.shape for name, x in found.items()}
    assert shapes.pop("logits") == (2, CLASSES)
    assert shapes == {
        **{f"{name}_stc": (2, NODES, NODES) for name in MODALITIES},
        **{f"{name}_mff": (4, 8, NODES, NODES) for name in MODALITIES},
        **{f"{name}_stc_entropy": (2, NODES) for name in MODALITIES},
        **{f"{name}_mff_entropy": (4, 8, NODES) for name in MODALITIES},
    }
    np.testing.assert_array_equal(found["logits"], logits(model, clips))
    for name in shapes:
        if not name.endswith("_entropy"):
            np.testing.assert_allclose(found[name].sum(axis=-1), 1, atol=1e-6)
            powers = found[name] * np.log(np.maximum(found[name], 1e-30))
            np.testing.assert_allclose(found[f"{name}_entropy"], -powers.sum(axis=-1), atol=1e-5)
    stc = found["rgb_stc"][1].reshape(6, 4, 6, 4)
    apart = np.abs(np.arange(6)[:, None] - np.arange(6)) > 2
    assert (stc.transpose(0, 2, 1, 3)[apart] == 0).all()
    shares = np.asarray(model.get_layer("flow_stc").attention())
    np.testing.assert_array_equal(found["flow_stc"], np.stack([shares, shares]))
    assert found["rgb_mff_entropy"].max() < np.log(NODES) + 1e-5
    assert np.abs(found["rgb_mff"][0] - found["rgb_mff"][1]).max() > 1e-4  # it depends on the clip


def test_attention_of_several_batches(model, clips):
    look = vcm_sdd.attention_model(model)
    joined = look.predict(clips, batch_size=1, verbose=0)
    for name, found in look(clips).items():
        np.testing.assert_allclose(joined[name], found, atol=1e-5)


def test_attention_as_far_as_there_is_any(without, clips):
    assert set(vcm_sdd.attention_model(without[False, True]).output) == {
        "logits", "rgb_mff", "flow_mff", "rgb_mff_entropy", "flow_mff_entropy"
    }  # fmt: skip
    shared = vcm_sdd.attention_model(build(share_geometry=True, mff=False))(clips)
    np.testing.assert_array_equal(shared["rgb_stc"], shared["flow_stc"])
    with pytest.raises(ValueError, match="a 'vcm_sdd' with `stc` or `mff`. Received: 'vcm_sdd' wi"):
        vcm_sdd.attention_model(without[False, False])
    with pytest.raises(ValueError, match="with `stc` or `mff`. Received: 'rgb_backbone'$"):
        vcm_sdd.attention_model(without[True, True].get_layer("rgb_backbone"))


def test_shared_parts(model):
    one = build(share_geometry=True, shared_head=True)
    names = {layer.name for layer in one.layers if layer.weights}
    assert names == {"rgb_backbone", "flow_backbone", "stc", "head"}
    assert model.count_params() - one.count_params() == 128 + 257 * CLASSES
    assert len(one.get_layer("stc")._inbound_nodes) == 2


def test_options_reach_their_layers(clips):
    model = build(
        num_heads=4,
        attn_scale="sqrt_dim",
        mff_residual=True,
        geom_eps=0.02,
        radius=1,
        neighbourhood="manhattan",
        self_loops=False,
        stc_residual=True,
        bn_momentum=0.8,
    )
    mff, stc = model.get_layer("mff"), model.get_layer("flow_stc")
    assert (mff.num_heads, mff.scale, mff.residual, mff.projections) == (4, "sqrt_dim", True, False)
    assert (stc.eps, stc.radius, stc.neighbourhood) == (0.02, 1, "manhattan")
    assert (stc.self_loops, stc.residual) == (False, True)
    norm = model.get_layer("flow_backbone").get_layer("conv3_block1_2_bn")
    assert norm.momentum == 0.8
    assert build(mff_projections=True).get_layer("mff").projections


def test_frames_of_a_segment_are_the_clip_s():
    clip = dataclasses.replace(CLIP, frames_per_segment=4)
    assert build(clip).get_layer("rgb_stc").output[1].shape == (16, 16)


@pytest.fixture(scope="module")
def weight_file(tmp_path_factory):
    net = resnet101(32, 3, blocks=(1, 1, 1, 1), width=1 / 8)
    path = tmp_path_factory.mktemp("weights") / "resnet101.npz"
    np.savez(path, **arrays_of(net))
    return path, arrays_of(net)


def test_weights_go_into_both_backbones(weight_file):
    path, arrays = weight_file
    model = build(weights=path)
    first = arrays.pop("conv1_conv/kernel")
    for name in MODALITIES:
        found = arrays_of(model.get_layer(f"{name}_backbone"))
        kernel = found.pop("conv1_conv/kernel")
        if name == "flow":
            np.testing.assert_allclose(kernel[:, :, 3], first.mean(axis=2), atol=1e-7)
            assert kernel.shape == (7, 7, 4, 8)
        else:
            np.testing.assert_array_equal(kernel, first)
        for part, value in arrays.items():
            np.testing.assert_array_equal(found[part], value)


def test_flow_may_start_at_random(weight_file):
    path, arrays = weight_file
    model = build(weights=path, flow_init="random")
    rgb, flow = (arrays_of(model.get_layer(f"{name}_backbone")) for name in MODALITIES)
    name = "conv4_block1_2_conv/kernel"
    np.testing.assert_array_equal(rgb[name], arrays[name])
    assert np.abs(flow[name] - arrays[name]).max() > 0.01


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(model, clips, policy):
    keras.config.set_dtype_policy(policy)
    try:
        mixed = build()
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(model.get_weights())
    assert mixed.get_layer("rgb_backbone").output.dtype == policy.removeprefix("mixed_")
    assert {mixed.get_layer(f"{name}_head").compute_dtype for name in MODALITIES} == {"float32"}
    found = {name: np.asarray(x) for name, x in vcm_sdd.attention_model(mixed)(clips).items()}
    assert {x.dtype.name for x in found.values()} == {"float32"}
    assert all(np.isfinite(x).all() for x in found.values())
    for name in ("rgb_stc", "flow_stc", "rgb_mff", "flow_mff"):
        np.testing.assert_allclose(found[name].sum(axis=-1), 1, atol=1e-6)
    wanted = logits(model, clips)
    assert np.abs(found["logits"] - wanted).max() < 0.1 * np.abs(wanted).max()
