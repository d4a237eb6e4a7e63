"""The invariants of the specification, section 4.4, at 64 px with an eighth of the channels."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models import hst_reference
from tests.models.conftest import adapt, logits, random_clips
from tests.models.conv3d_reference import scatter, weights_of
from tests.models.small_hst import CLASSES, CLIP, build, twin, widen


@pytest.fixture(scope="module")
def clips():
    return random_clips(CLIP)


@pytest.fixture(scope="module")
def model(clips):
    keras.utils.set_random_seed(3)
    model = widen(build())
    adapt(model, clips)
    return model


def output(model, name, clips):
    """What one of the network's own layers gives."""
    return np.asarray(keras.Model(model.input, model.get_layer(name).output)(clips))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, {}),
        ({"backbone": "vgg13"}, {"shortcut": False}),
        ({"attention_placement": "every_block"}, {"every_block": True}),
        ({"window_conv": "shared3d", "layer_sizes": (1, 2, 1, 1)}, {}),
        ({"window_conv": "shared2d", "leaky_slope": 0.3}, {"slope": 0.3}),
    ],
)
def test_it_computes_what_its_equations_say(clips, options, told):
    """All of it, from codes to logits."""
    keras.utils.set_random_seed(1)
    network = build(**options)
    scatter(network)
    wanted = hst_reference.forward(weights_of(network), clips, **told)
    outputs = {name: network.get_layer(name).output for name in wanted}
    for name, value in keras.Model(network.input, outputs)(clips).items():
        assert value.shape == wanted[name].shape
        np.testing.assert_allclose(
            value, wanted[name], atol=1e-4 * wanted[name].std(), err_msg=name
        )


def swapped(frames):
    """The two frames of every window change places."""
    return frames[:, [t ^ 1 for t in range(frames.shape[1])]]


def test_inputs_are_uint8_clips_and_logits_are_float32(model, clips):
    assert {k: (tuple(v.shape), v.dtype) for k, v in model.input.items()} == {
        "rgb": ((None, 16, 64, 64, 3), "uint8"),
        "flow": ((None, 16, 64, 64, 2), "uint8"),
    }
    assert (model.name, model.output_shape) == ("hst", (None, CLASSES))
    out = logits(model, clips)
    assert out.dtype == np.float32
    assert np.abs(out.sum(axis=1) - 1).max() > 0.1  # logits, not probabilities


def test_scaling_is_inside_the_model_and_code_128_is_no_motion(model):
    clips = {name: np.zeros((1, *CLIP.shape(name)), np.uint8) for name in CLIP.modalities}
    clips["rgb"][0, 0, 0, 0] = 255, 128, 0
    clips["flow"][0, 0, 0, :3, 0] = 0, 128, 255
    rgb = output(model, "rgb_normalize", clips)
    np.testing.assert_allclose(rgb[0, 0, 0, 0], [1, 0.5 / 127.5, -1], atol=1e-6)
    flow = output(model, "flow_normalize", clips)
    np.testing.assert_array_equal(flow[0, 0, 0, :3, 0], [-1, 0, 127 / 128])


def test_shapes_of_the_small_network(model):
    shapes = {
        "omega": (16, 64, 64, 3),
        "phi0": (16, 32, 32, 8),
        "svn": (8, 32, 32, 8),
        "stage1_block1_act": (8, 32, 32, 16),
        "stage2_block1_act": (8, 16, 16, 16),
        "stage3_block1_act": (8, 8, 8, 16),
        "stage4_block1_act": (8, 4, 4, 16),
        "merge_windows": (2, 4, 4, 16),
        "spatial_attention": (4, 4, 16),
        "flow_pool": (16, 4, 4, 2),
        "temporal_feature": (4, 4, 16),
        "hybrid_attention": (4, 4, 16),
        "pool": (16,),
    }
    assert {name: model.get_layer(name).output.shape[1:] for name in shapes} == shapes
    block = [layer.name for layer in model.layers if layer.name.startswith("stage2_block1")]
    parts = "conv1x1 a_bn a_act shuffle phi mask hres conv3x3 y_bn add act"
    assert block == [f"stage2_block1_{part}" for part in parts.split()]
    first = [layer.name for layer in model.layers if layer.name.startswith("stage1_block1")]
    assert set(first) == {f"stage1_block1_{part}" for part in (*parts.split(), "proj")}


def test_the_frames_of_a_window_may_change_places(model, clips):
    other = {**clips, "rgb": swapped(clips["rgb"])}
    np.testing.assert_array_equal(logits(model, other), logits(model, clips))
    shifted = {**clips, "rgb": np.roll(clips["rgb"], 1, axis=1)}  # other pairs
    assert np.abs(logits(model, shifted) - logits(model, clips)).max() > 1e-3


def test_equal_frames_and_no_motion_are_finite(model, clips):
    still = {
        "rgb": clips["rgb"][:, :1].repeat(16, axis=1),
        "flow": np.full_like(clips["flow"], 128),
    }
    assert np.isfinite(logits(model, still)).all()


def test_order_of_flow_matters_by_the_activation(model, clips):
    """[H34]: the mean over time of a linear convolution knows no order but at the clip's ends."""
    order = [0, 1, *reversed(range(2, 14)), 14, 15]
    mixed = {**clips, "flow": clips["flow"][:, order]}
    assert np.abs(logits(model, mixed) - logits(model, clips)).max() > 1e-4
    linear = twin(model, leaky_slope=1.0)
    found = [output(linear, "temporal_feature", c) for c in (mixed, clips)]
    np.testing.assert_allclose(*found, atol=1e-5)


def test_both_modalities_matter(model, clips):
    other = random_clips(CLIP, seed=8)
    for name in clips:
        change = logits(model, {**clips, name: other[name]}) - logits(model, clips)
        assert np.abs(change).max() > 1e-3


def test_uniform_flow_hides_the_frames_if_the_softmax_is_over_positions(model, clips):
    """[H32]"""
    flow = clips["flow"][:1, :1, :1, :1].repeat(16, 1).repeat(64, 2).repeat(64, 3)
    both = [{"rgb": clips["rgb"][k : k + 1], "flow": flow} for k in range(2)]
    found = [logits(model, c) for c in both]
    assert np.abs(found[0] - found[1]).max() > 1e-3
    positions = twin(model, attention_axis="positions")
    found = [logits(positions, c) for c in both]
    np.testing.assert_allclose(*found, atol=1e-5)


def test_a_clip_does_not_depend_on_its_batch(model, clips):
    whole = logits(model, clips)
    for k in range(2):
        alone = logits(model, {name: x[k : k + 1] for name, x in clips.items()})
        np.testing.assert_allclose(alone[0], whole[k], atol=1e-4)
    assert np.abs(whole[0] - whole[1]).max() > 1e-3


@pytest.mark.parametrize("short", ["rgb", "flow"])
def test_one_video_beside_several_is_refused(model, clips, short):
    given = {**clips, short: clips[short][:1]}
    with pytest.raises(ValueError, match="must hold the same videos"):
        model(given)

    specs = {name: tf.TensorSpec(x.shape, x.dtype) for name, x in model.input.items()}

    @tf.function(input_signature=[specs])
    def run(clips):
        return model(clips, training=False)

    with pytest.raises(tf.errors.InvalidArgumentError, match="shape"):
        run(given)


def test_t_inside_a_softmax_over_positions_learns_nothing(clips):
    """[H31]: the mean over positions is then 1 / (h w) whatever is shown."""
    network = build(order="t_inside", attention_axis="positions", attention_gain=False)
    np.testing.assert_allclose(output(network, "pool", clips), 1 / 16, rtol=1e-4)


def test_longer_clips():
    longer = dataclasses.replace(CLIP, frames_per_segment=32)
    assert build(longer).get_layer("svn").output.shape == (None, 16, 32, 32, 8)


OPTIONS = [
    {},
    {"backbone": "vgg13", "share_window_weights": True, "share_fc": True},
    {"literal": True},
    {"window_conv": "shared3d", "hierarchy": "output", "hard_mask": True},
    {"attention_placement": "every_block", "window_conv": "shared2d"},
    {"svn_noise_std": 0.1, "shuffle_groups": 0, "shortcut": "projection", "fuse": "matmul"},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_every_trainable_tensor_gets_a_gradient(clips, options):
    keras.utils.set_random_seed(5)
    network = widen(build(**options))
    with tf.GradientTape() as tape:
        loss = keras.losses.sparse_categorical_crossentropy(
            np.array([1, 3]), network(clips, training=True), from_logits=True
        )
    weights = network.trainable_weights
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    sizes = {
        weight.path: 0 if gradient is None else float(np.abs(gradient).max())
        for weight, gradient in zip(weights, gradients, strict=True)
    }
    # What batch normalisation subtracts again: it gets rounding errors alone.
    silent = {path for path in sizes if path.endswith("_conv1x1/bias")}
    if options.get("window_conv", "per_window3d") != "per_window3d":
        silent |= {path for path in sizes if path.endswith("_conv3x3/bias")}
    if options.get("literal"):
        silent = set()
    largest = max(sizes.values())
    assert all(sizes[path] < 1e-4 * largest for path in silent)
    dead = {path for path in sizes.keys() - silent if not sizes[path] > 0}
    assert not dead


@pytest.mark.slow
def test_it_learns_four_directions_of_motion():
    """One of four fields of flow, noisy, over frames of noise."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    labels = np.arange(16) % 4
    clip = dataclasses.replace(CLIP, size=32)
    clips = random_clips(clip, 16, seed=2)
    u, v = np.array([[40, 0], [-40, 0], [0, 40], [0, -40]])[labels].T
    noise = rng.integers(-20, 21, clips["flow"].shape)
    clips["flow"] = (128 + noise + np.stack([u, v], -1)[:, None, None, None]).astype(np.uint8)
    network = build(clip)
    network.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    history = network.fit(clips, labels, epochs=40, batch_size=16, verbose=0).history
    assert history["accuracy"][-1] == 1
