"""ResNet-101 as PyTorch computes it, in NumPy: what our network and its weights are held against.

Channels first, (B, C, H, W). Written from PyTorch's documented rules and torchvision's names, not
from our code. Width and numbers of blocks are free: a narrow net has every name of the wide one.
"""

import numpy as np

BLOCKS = (3, 4, 23, 3)


def convolutions(blocks=BLOCKS, base=64):
    """{name: (filters, channels, kernel)} of all, in torchvision's order; 104 of ResNet-101."""
    found = {"conv1": (base, 3, 7)}
    channels = base
    for stage, count in enumerate(blocks):
        inner = base * 2**stage
        for block in range(count):
            name = f"layer{stage + 1}.{block}"
            found[f"{name}.conv1"] = (inner, channels, 1)
            found[f"{name}.conv2"] = (inner, inner, 3)
            found[f"{name}.conv3"] = (4 * inner, inner, 1)
            if block == 0:
                found[f"{name}.downsample.0"] = (4 * inner, channels, 1)
            channels = 4 * inner
    return found


def norm_of(conv):
    """The name of the batch normalisation behind a convolution."""
    if conv.endswith("downsample.0"):
        return conv[:-1] + "1"
    return conv.replace("conv", "bn")


def random_state(seed=0, blocks=BLOCKS, base=64):
    """A torchvision state dict of float32 arrays; activations neither die nor grow."""
    rng = np.random.default_rng(seed)
    state = {}
    for name, (filters, channels, k) in convolutions(blocks, base).items():
        damped = 0.2 if name.endswith("conv3") else 1.0
        shape = (filters, channels, k, k)
        state[f"{name}.weight"] = rng.normal(0, np.sqrt(2 / (channels * k * k)), shape)
        state |= {
            f"{norm_of(name)}.weight": damped * rng.uniform(0.5, 1.5, filters),
            f"{norm_of(name)}.bias": damped * rng.normal(0, 0.2, filters),
            f"{norm_of(name)}.running_mean": rng.normal(0, 0.2, filters),
            f"{norm_of(name)}.running_var": rng.uniform(0.5, 1.5, filters),
            f"{norm_of(name)}.num_batches_tracked": np.array(seed),
        }
    state["fc.weight"] = rng.normal(0, 0.03, (1000, 32 * base))
    state["fc.bias"] = rng.normal(0, 0.03, 1000)
    return {name: value.astype(np.float32) for name, value in state.items()}


def forward(state, images, blocks=BLOCKS):
    """Features (B, C, H/32, W/32) of float RGB images (B, 3, H, W), normalised."""

    def unit(x, name, stride=1):
        x = _convolve(x, state[f"{name}.weight"], stride)
        mean, variance, scale, shift = (
            state[f"{norm_of(name)}.{kind}"][:, None, None]
            for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / np.sqrt(variance + 1e-5) * scale + shift

    x = np.maximum(unit(images, "conv1", 2), 0)
    x = _windows(_padded(x, 1, -np.inf), 3, 2).max(axis=(-2, -1))
    for stage, count in enumerate(blocks):
        for block in range(count):
            name = f"layer{stage + 1}.{block}"
            stride = 2 if stage and not block else 1
            y = np.maximum(unit(x, f"{name}.conv1"), 0)
            y = np.maximum(unit(y, f"{name}.conv2", stride), 0)
            y = unit(y, f"{name}.conv3")
            shortcut = x if block else unit(x, f"{name}.downsample.0", stride)
            x = np.maximum(y + shortcut, 0)
    return x


def _windows(x, size, stride):
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))
    return windows[:, :, ::stride, ::stride]


def _padded(x, width, value):
    return np.pad(x, ((0, 0), (0, 0), (width, width), (width, width)), constant_values=value)


def _convolve(x, kernel, stride):
    size = kernel.shape[-1]
    windows = _windows(_padded(x, size // 2, 0), size, stride)
    return np.einsum("bchwyx,fcyx->bfhw", windows, kernel, optimize=True)
