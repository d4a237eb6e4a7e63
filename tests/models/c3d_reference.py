"""C3D as PyTorch computes it, in NumPy: what our network and its weights are held against.

Channels first, (B, C, T, H, W). Written from PyTorch's documented rules and the constructor
arguments of the public net, not from our code.
"""

import numpy as np

LAYERS = {  # name: (channels, filters) at full width, and the pool behind it
    "conv1": (3, 64, "1"),
    "conv2": (64, 128, "2"),
    "conv3a": (128, 256, None),
    "conv3b": (256, 256, "2"),
    "conv4a": (256, 512, None),
    "conv4b": (512, 512, "2"),
    "conv5a": (512, 512, None),
    "conv5b": (512, 512, "padded"),
}
NUMBERED = [f"features.{n}" for n in (0, 3, 6, 8, 11, 13, 16, 18)]
NUMBERED += [f"classifier.{n}" for n in (0, 3, 6)]
NAMED = [*LAYERS, "fc6", "fc7", "fc8"]
OPENMMLAB = ["conv1a.conv", "conv2a.conv", *(f"{name}.conv" for name in list(LAYERS)[2:])]
OPENMMLAB = [f"backbone.{name}" for name in [*OPENMMLAB, "fc6", "fc7"]] + ["cls_head.fc_cls"]


def random_state(seed=0, divisor=16, names=NAMED):
    """A PyTorch state dict of float32 arrays at 1 / `divisor` of the width, of 112 px clips."""
    rng = np.random.default_rng(seed)
    state = {}

    def add(name, *shape):
        scale = np.sqrt(2 / np.prod(shape[1:]))
        state[f"{name}.weight"] = rng.normal(0, scale, shape).astype(np.float32)
        state[f"{name}.bias"] = rng.normal(0, 0.1, shape[0]).astype(np.float32)

    for name, own in zip(names, NAMED, strict=True):
        if own in LAYERS:
            channels, filters, _ = LAYERS[own]
            channels = 3 if channels == 3 else channels // divisor
            add(name, filters // divisor, channels, 3, 3, 3)
        else:
            units, last = 4096 // divisor, 512 // divisor
            rows = {"fc6": last * 16, "fc7": units, "fc8": units}[own]
            add(name, 487 if own == "fc8" else units, rows)
    return state


def forward(state, images):
    """What fc7 gives after its ReLU, (B, 4096 / divisor), of float BGR clips (B, 3, 16, H, W)."""
    x = images
    for name, (_, _, pool) in LAYERS.items():
        x = np.maximum(_convolve(x, state[f"{name}.weight"], state[f"{name}.bias"]), 0)
        if pool == "padded":  # MaxPool3d(2, padding=(0, 1, 1)): an odd last cell is left out
            around = ((0, 0), (0, 0), (0, 0), (1, 1), (1, 1))
            x = np.pad(x, around, constant_values=-np.inf)
        if pool:
            x = _pool(x, 1 if pool == "1" else 2)
    x = x.reshape(len(x), -1)  # channel by channel
    for name in ("fc6", "fc7"):
        x = np.maximum(x @ state[f"{name}.weight"].T + state[f"{name}.bias"], 0)
    return x


def _convolve(x, kernel, bias):
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1), (1, 1)))
    _, _, frames, height, width = x.shape
    out = 0
    for t, h, w in np.ndindex(3, 3, 3):
        part = padded[:, :, t : t + frames, h : h + height, w : w + width]
        out = out + np.einsum("bcthw,fc->bfthw", part, kernel[:, :, t, h, w], optimize=True)
    return out + bias[:, None, None, None]


def _pool(x, depth):
    batch, channels, t, h, w = (
        n // d * d for n, d in zip(x.shape, (1, 1, depth, 2, 2), strict=True)
    )
    x = x[:, :, :t, :h, :w].reshape(batch, channels, t // depth, depth, h // 2, 2, w // 2, 2)
    return x.max(axis=(3, 5, 7))
