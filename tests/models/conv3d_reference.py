"""R3D, R(2+1)D and the nets of tables in NumPy, float64: what ours are held against.

Channels last, (B, T, H, W, C). Written from PyTorch's documented rules, the public repository's
arrangement and Cai and Cai's table 3, not from our code. Weights are those of `weights_of`; which
layers a network has is read from their names, and kernels say their size.
"""

import numpy as np


def weights_of(model):
    """{path: float64 array} of all weights of a network."""
    return {weight.path: np.array(weight, np.float64) for weight in model.weights}


def scatter(model, seed=0):
    """Gives values without symmetry to all weights that start as zeros or ones."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.name == "bias" or weight.name in ("beta", "moving_mean"):
            weight.assign(rng.normal(0, 0.2, weight.shape))
        elif weight.name in ("gamma", "moving_variance", "gate"):
            weight.assign(rng.uniform(0.3, 1.5, weight.shape))


def convolve(w, name, x, strides=(1, 1, 1)):
    """Zeros stand on both sides."""
    kernel = w[f"{name}/kernel"]
    padded = np.pad(x, [(0, 0), *((k // 2, k // 2) for k in kernel.shape[:3]), (0, 0)])
    ends = [s * (-(-n // s) - 1) + 1 for n, s in zip(x.shape[1:4], strides, strict=True)]
    out = w.get(f"{name}/bias", 0.0)
    for tap in np.ndindex(kernel.shape[:3]):
        cut = [slice(k, k + end, s) for k, end, s in zip(tap, ends, strides, strict=True)]
        out = out + padded[:, *cut] @ kernel[tap]
    return out


def norm(w, name, x):
    kinds = ("gamma", "beta", "moving_mean", "moving_variance")
    gamma, beta, mean, variance = (w[f"{name}/{kind}"] for kind in kinds)
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def relu(x):
    return np.maximum(x, 0)


def max_pool(x, t, h, w):
    """Of cells that do not overlap."""
    return pooled(x, t, h, w).max(axis=(2, 4, 6))


def pooled(x, t, h, w):
    batch, frames, height, width, channels = x.shape
    return x.reshape(batch, frames // t, t, height // h, h, width // w, w, channels)


def dense(w, name, x):
    return x @ w[f"{name}/kernel"] + w[f"{name}/bias"]


def blocks_of(w, stage, part):
    """The names of a stage's blocks, which all have a layer `part`."""
    names = (f"stage{stage}_block{number}" for number in range(1, 100))
    return [name for name in names if any(path.startswith(f"{name}_{part}") for path in w)]


def resnet3d(w, x):
    """Logits of normalised clips: BasicBlocks whose convolutions are each "conv, BN, ReLU"."""

    def convolution(name, x, strides=(1, 1, 1)):
        if f"{name}/kernel" in w:
            return relu(norm(w, f"{name}_bn", convolve(w, name, x, strides)))
        t, *space = strides
        x = relu(norm(w, f"{name}_spatial_bn", convolve(w, f"{name}_spatial", x, (1, *space))))
        x = convolve(w, f"{name}_temporal", x, (t, 1, 1))
        return relu(norm(w, f"{name}_temporal_bn", x))

    x = convolution("stem", x, (1, 2, 2))
    for stage in range(1, 5):
        for name in blocks_of(w, stage, "conv1"):
            halved = stage > 1 and name.endswith("block1")
            strides = (2, 2, 2) if halved else (1, 1, 1)
            y = relu(norm(w, f"{name}_bn1", convolution(f"{name}_conv1", x, strides)))
            y = norm(w, f"{name}_bn2", convolution(f"{name}_conv2", y))
            if halved:
                x = convolution(f"{name}_downsample_conv", x, strides)
                x = norm(w, f"{name}_downsample_bn", x)
            x = relu(x + y)
    return dense(w, "logits", x.mean(axis=(1, 2, 3)))


def table_net(w, x, *, shortcut=False):
    """Logits of normalised clips: the rows of table 3, a ReLU behind each."""

    def row(name, x):
        if f"{name}/kernel" in w:
            return convolve(w, name, x)
        return convolve(w, f"{name}_spatial", x) + convolve(w, f"{name}_temporal", x)

    x = relu(convolve(w, "stem", x, (1, 2, 2)))
    for stage in range(1, 5):
        if stage > 1:
            x = max_pool(x, 2, 2, 2)
        for name in blocks_of(w, stage, "row1"):
            y = row(f"{name}_row1", x)
            if f"{name}_bn/gamma" in w:
                y = norm(w, f"{name}_bn", y)
            y = row(f"{name}_row2", relu(y))
            if f"{name}_row3/kernel" in w:
                y = row(f"{name}_row3", relu(y))
            if shortcut:
                y = y + (convolve(w, f"{name}_proj", x) if f"{name}_proj/kernel" in w else x)
            x = relu(y)
    x = x.mean(axis=(1, 2, 3))
    for name in ("fc1", "fc2"):
        if f"{name}/kernel" in w:
            x = relu(dense(w, name, x))
    return dense(w, "logits", x)
