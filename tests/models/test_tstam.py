"""T-STAM: golden sizes of the specification's section 5, and the invariants of its section 4.3.

At full size the models are only built. What they compute is looked at with 64 px, 2 x 2 cells.
"""

import keras
import numpy as np
import pytest

from tests.models.conftest import logits, random_clips
from tests.models.small_tstam import CLASSES, CLIP, FRAMES, build, liven
from vidrec.clip import ClipSpec
from vidrec.models import tstam
from vidrec.models.backbones.bn_inception import bn_inception
from vidrec.models.backbones.bn_inception_weights import arrays_of
from vidrec.models.transfer import transfer_weights


@pytest.fixture(scope="module")
def clips():
    return random_clips(CLIP)


@pytest.fixture(scope="module")
def two_stream(clips):
    keras.utils.set_random_seed(3)
    model = tstam.build(CLASSES, CLIP)
    liven(model, clips)
    return model


@pytest.fixture(scope="module")
def stream(two_stream):
    return two_stream.get_layer("rgb_stream")


def softmax(x):
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


def trainable(model):
    return sum(int(weight.shape.num_elements()) for weight in model.trainable_weights)


# The specification's table, section 5: trainable parameters with 51 and 101 classes.
GOLDEN = {
    "default": ({}, (14_592_093, 14_796_943), (14_614_045, 14_818_895)),
    "D = 256": ({"map_dim": 256}, (13_451_613, 13_502_863), (13_473_565, 13_524_815)),
    "channel": (
        {"map_dim": 256, "temporal_mode": "channel"},
        (13_451_613, 13_502_863),
        (13_473_565, 13_524_815),
    ),
    "no SE": ({"se_blocks": ()}, (13_945_695, 14_150_545), (13_967_647, 14_172_497)),
    "scalar": ({"temporal_mode": "scalar"}, (14_592_350, 14_797_200), (14_614_302, 14_819_152)),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_parameters(name):
    """Sizes do not matter to them, so 32 px; the default is built at 224 px below."""
    options, *rows = GOLDEN[name]
    for modality, row in zip(("rgb", "flow"), rows, strict=True):
        clip = ClipSpec(size=32, flow_length=5, modalities=(modality,))
        model = tstam.build(51, clip, **options)
        dense = 4 * options.get("map_dim", 1024) + 1  # more of it for each class
        assert (trainable(model), trainable(model) + 50 * dense) == row
        assert model.count_params() - trainable(model) == 24_136


def test_the_default_model_at_full_size():
    model = tstam.build(101)
    assert trainable(model) == 29_615_838
    assert {name: tuple(x.shape) for name, x in model.input.items()} == {
        "rgb": (None, None, 224, 224, 3),
        "flow": (None, None, 224, 224, 10),
    }
    for modality in ("rgb", "flow"):
        stream = model.get_layer(f"{modality}_stream")
        assert stream.get_layer(f"{modality}_s_pool").input[0].shape == (None, None, 7, 7, 1024)


def test_the_head_s_parts(stream):
    def size(*names):
        return sum(
            trainable(stream.get_layer(f"rgb_{name}"))
            for name in names
            if stream.get_layer(f"rgb_{name}").weights
        )

    assert size("map") == 1_049_600
    assert size("t_conv") == 262_400
    parts = [
        [size(f"s{j}_{part}") for part in ("conv1", "bn1", "conv2", "bn2")] for j in range(1, 5)
    ]
    assert parts == [[524_800, 1_024, 12_801, 2]] * 4
    assert size("logits") == 4096 * CLASSES + CLASSES


@pytest.mark.parametrize("models", [1, 2, 3, 5])
def test_spatial_models_of_the_paper_s_sweep(models):
    model = build(clip=ClipSpec(size=32), num_spatial=models, se_blocks=())
    head = 1_049_600 + 262_400 + models * (538_627 + 1024 * CLASSES) + CLASSES
    assert trainable(model) == 10_270_240 + head
    assert model.get_layer("rgb_concat").output.shape == (None, models * 1024)


def test_inputs_are_uint8_clips_and_logits_are_float32(two_stream, clips):
    assert {k: (tuple(v.shape), v.dtype) for k, v in two_stream.input.items()} == {
        "rgb": ((None, None, 64, 64, 3), "uint8"),
        "flow": ((None, None, 64, 64, 4), "uint8"),
    }
    assert two_stream.output_shape == (None, CLASSES)
    out = two_stream(clips, training=False)
    assert out.dtype == "float32"


def test_normalisation_is_inside_the_model(two_stream):
    for modality, zero in (("rgb", [128, 117, 104]), ("flow", [128] * 4)):
        stream = two_stream.get_layer(f"{modality}_stream")
        centred = keras.Model(stream.input, stream.get_layer(f"{modality}_centre").output)
        clip = np.empty((1, 1, 64, 64, len(zero)), np.uint8)
        clip[..., :] = zero
        clip[0, 0, 5, 6] = 255
        found = np.asarray(centred({modality: clip}))[0]
        np.testing.assert_array_equal(found[5, 6], 255 - np.array(zero))
        assert np.count_nonzero(found) == len(zero)


HEADS = [
    {},
    {"spatial_agg": "sum", "num_spatial": 2},
    {"spatial_agg": "mean", "num_spatial": 1, "map_dim": 32},
    {"temporal_mode": "channel", "map_dim": 24, "temporal_hidden": 24},
    {"temporal_mode": "scalar", "temporal_hidden": 8},
]


@pytest.mark.parametrize("options", HEADS, ids=str)
def test_the_head_is_the_paper_s_equations(options, clips):
    """Section 3 written out in NumPy, on the map X that the backbone gives."""
    model = build("flow", se_blocks=(), **options)
    liven(model, clips)
    head = {
        layer.name.removeprefix("flow_"): [np.asarray(w) for w in layer.get_weights()]
        for layer in model.layers
        if layer.weights
    }
    inner = model.get_layer("flow_map").input
    x = np.asarray(keras.Model(model.input, inner)({"flow": clips["flow"]}, training=False))

    def norm(y, name):
        gamma, beta, mean, variance = head[name]
        return (y - mean) / np.sqrt(variance + 1e-5) * gamma + beta

    mapped = (x @ head["map"][0] + head["map"][1]).reshape(2, FRAMES, 4, -1)  # eq. 1
    frames = mapped.mean(axis=2)
    q = frames @ head["t_conv"][0][0] + head["t_conv"][1]
    if "t_score" in head:
        q = np.maximum(q, 0) @ head["t_score"][0][0] + head["t_score"][1]
    alpha = softmax(q.swapaxes(1, 2)).swapaxes(1, 2)  # eq. 2
    if options.get("temporal_mode") != "channel":
        alpha = alpha.mean(axis=-1, keepdims=True)
    f_t = (alpha * frames).sum(axis=1)  # eq. 3
    fused = []
    for j in range(1, options.get("num_spatial", 4) + 1):
        kernel, bias = head[f"s{j}_conv1"]
        u = np.tanh(norm(x @ kernel[0, 0] + bias, f"s{j}_bn1"))
        kernel, bias = head[f"s{j}_conv2"]
        padded = np.pad(u, ((0, 0), (2, 2), (2, 2), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
        s = norm(np.einsum("bhwcyx,yxcf->bhwf", windows, kernel) + bias, f"s{j}_bn2")  # eq. 4, 5
        a = softmax(s.reshape(2, FRAMES, 4))  # eq. 6
        f_s = np.einsum("bik,bikd->bd", a, mapped)  # eq. 7
        agg = options.get("spatial_agg", "sum_ref")
        f_s *= {"sum": 1, "mean": 1 / FRAMES, "sum_ref": 6 / FRAMES}[agg]
        fused.append(f_t + f_s)  # eq. 8
    wanted = np.concatenate(fused, axis=1) @ head["logits"][0] + head["logits"][1]  # eq. 9
    assert np.ptp(wanted, axis=0).min() > 1e-3
    np.testing.assert_allclose(logits(model, clips), wanted, rtol=1e-4, atol=1e-3)


def test_order_of_frames_does_not_matter(stream, clips):
    turned = {"rgb": clips["rgb"][:, [2, 0, 1]]}
    other = {"rgb": clips["rgb"][:, [0, 0, 1]]}
    plain = logits(stream, clips)
    np.testing.assert_allclose(logits(stream, turned), plain, atol=1e-4)
    assert np.abs(logits(stream, other) - plain).max() > 0.01


def test_any_number_of_frames(stream, clips):
    """Copies of one frame are one frame, however many: sum_ref does not grow."""
    one = {"rgb": clips["rgb"][:, :1]}
    wanted = logits(stream, one)
    for count in (6, 25):
        copies = {"rgb": one["rgb"].repeat(count, axis=1)}
        np.testing.assert_allclose(logits(stream, copies), wanted, rtol=1e-4, atol=1e-3)
    literal = build(literal=True)
    literal.set_weights(stream.get_weights())
    six, more = (logits(literal, {"rgb": one["rgb"].repeat(n, axis=1)}) for n in (6, 25))
    np.testing.assert_allclose(six, wanted, rtol=1e-4, atol=1e-3)
    assert np.abs(more - six).max() > 0.1


def test_attention_is_given_on_request(two_stream, stream, clips):
    model = tstam.attention_model(stream)
    found = {name: np.asarray(x) for name, x in model({"rgb": clips["rgb"]}).items()}
    np.testing.assert_array_equal(found["logits"], logits(stream, clips))
    assert found["temporal_scores"].shape == (2, FRAMES)
    assert found["spatial_scores"].shape == (2, FRAMES, 2, 2, 4)
    np.testing.assert_allclose(found["temporal_scores"].sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found["spatial_scores"].sum(axis=(2, 3)), 1, atol=1e-6)
    assert np.ptp(found["temporal_scores"]) > 0.01
    assert np.ptp(found["spatial_scores"]) > 0.1
    with pytest.raises(ValueError, match="'rgb_stream' or a 'flow_stream'.*'two_stream'"):
        tstam.attention_model(two_stream)


def test_zero_temporal_convolution_gives_even_scores(clips):
    model = build("flow", se_blocks=(), num_spatial=1)
    layer = model.get_layer("flow_t_conv")
    layer.set_weights([0 * w for w in layer.get_weights()])
    scores = tstam.attention_model(model)({"flow": clips["flow"]})["temporal_scores"]
    np.testing.assert_allclose(scores, 1 / FRAMES, rtol=1e-6)


def test_dropout_is_tsn_s_unless_given():
    def rate(modality, **options):
        model = build(modality, clip=ClipSpec(size=32), se_blocks=(), num_spatial=1, **options)
        return model.get_layer(f"{modality}_drop").rate

    assert (rate("rgb"), rate("flow")) == (0.8, 0.7)
    assert (rate("rgb", dropout=0.0), rate("flow", literal=True)) == (0, 0)


@pytest.fixture(scope="module")
def weight_file(tmp_path_factory):
    net = bn_inception(32, 3, se_blocks=())
    path = tmp_path_factory.mktemp("weights") / "bn_inception.npz"
    np.savez(path, **arrays_of(net))
    return path, arrays_of(net)


def test_weights_of_the_backbone_go_into_both_streams(weight_file):
    path, arrays = weight_file
    model = tstam.build(CLASSES, ClipSpec(size=32, flow_length=2), weights=path)
    kernels = {}
    for modality in ("rgb", "flow"):
        base = model.get_layer(f"{modality}_stream").get_layer(f"{modality}_bn_inception")
        kernels[modality] = np.array(base.get_layer("conv1_7x7_s2").kernel)
        for name in ("inception_3a_3x3", "inception_5b_pool_proj"):
            np.testing.assert_array_equal(base.get_layer(name).kernel, arrays[f"{name}/kernel"])
    np.testing.assert_array_equal(kernels["rgb"], arrays["conv1_7x7_s2/kernel"])
    mean = kernels["rgb"].mean(axis=2, keepdims=True).repeat(4, axis=2)
    np.testing.assert_array_equal(kernels["flow"], mean)


def test_the_motion_stream_starts_from_a_trained_appearance_stream(stream):
    motion = build("flow")
    assert transfer_weights(stream, motion) == "conv1_7x7_s2"
    pairs = list(zip(stream.get_weights(), motion.get_weights(), strict=True))
    differing = [old.shape for old, new in pairs if not np.array_equal(old, new)]
    assert (len(pairs), differing) == (508, [(7, 7, 3, 64)])


def test_mixed_precision(stream, clips):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = build()
    finally:
        keras.config.set_dtype_policy("float32")
    model.set_weights(stream.get_weights())
    out, wanted = model({"rgb": clips["rgb"]}, training=False), logits(stream, clips)
    assert out.dtype == "float32"
    assert model.get_layer("rgb_bn_inception").output.dtype == "float16"
    assert np.corrcoef(np.ravel(out), np.ravel(wanted))[0, 1] > 0.97  # 6 images: rough statistics
