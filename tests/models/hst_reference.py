"""HST in NumPy, float64: what ours is held against.

Channels last, (B, K, H, W, C). Written from the specification's sections 1.4 and 1.5, not from our
code. Weights are those of `conv3d_reference.weights_of`; which layers a network has is read from
their names.
"""

from math import erf

import numpy as np

from tests.models.conv3d_reference import blocks_of, convolve, dense, max_pool, norm, pooled
from tests.models.small_hst import peaks

WINDOWS = 8


def forward(w, clips, *, shortcut=True, every_block=False, slope=0.01):
    """{layer: what it gives} of uint8 clips of 16 frames; the last is "logits"."""

    def leaky(x):
        return np.where(x > 0, x, slope * x)

    def temporal(maps, prefix=""):
        """Equation 1, and the mean over time."""
        cell = flow.shape[2] // maps.shape[2]
        x = pooled(flow, 1, cell, cell).mean(axis=(2, 4, 6))
        return leaky(convolve(w, f"{prefix}temporal_cnn", x)).mean(axis=1)

    def block(z, name, t):
        a = convolve(w, f"{name}_conv1x1", z)
        a = leaky(norm(w, f"{name}_a_bn", a))
        order = np.arange(a.shape[-1]).reshape(8, -1).T.reshape(-1)  # 8 groups
        a = a[..., order]
        p = convolve(w, f"{name}_phi", a)
        m = 1 / (1 + np.exp(-convolve(w, f"{name}_mask", a)))
        h = np.zeros_like(a)
        for window in range(WINDOWS):  # equations 7 to 9
            matrix = w[f"{name}_hres/kernel"][window]
            gate = w[f"{name}_hres/gate"][window]
            own, mask = p[:, window], m[:, window]
            delta = (1 - mask) * own + mask * (own * gate)
            h[:, window] = np.stack([peaks(one) for one in own @ matrix]) + leaky(delta @ matrix)
            if window:
                h[:, window] += a[:, window - 1]
        if every_block:
            h = h + attention(w, h, t, f"{name}_")["hybrid_attention"][:, None]
        y = per_window(w, f"{name}_conv3x3", h)
        y = norm(w, f"{name}_y_bn", y)
        if shortcut:
            y = y + (convolve(w, f"{name}_proj", z) if f"{name}_proj/kernel" in w else z)
        return leaky(y)

    found = {}
    rgb = clips["rgb"] / 127.5 - 1
    flow = clips["flow"] / 128 - 1
    x = found["phi0_act"] = leaky(convolve(w, "phi0", convolve(w, "omega", rgb), (1, 2, 2)))
    first, second = x[:, ::2], x[:, 1::2]  # equations 2 to 6
    axes = {"axis": (2, 3, 4), "keepdims": True}
    u = np.abs(first - second).mean(**axes)
    sigma = (((first - u) ** 2).mean(**axes) + ((second - u) ** 2).mean(**axes)) / 2
    x = found["svn"] = (first + second - u) / np.sqrt(sigma + 1e-5)
    for stage in range(1, 5):
        if stage > 1:
            x = max_pool(x, 1, 2, 2)
        t = temporal(x, f"stage{stage}_") if every_block else None
        for name in blocks_of(w, stage, "conv1x1"):
            x = found[f"{name}_act"] = block(x, name, t)
    if every_block:
        x = x.mean(axis=(1, 2, 3))
    else:
        found["temporal_feature"] = temporal(x)
        found |= attention(w, x, found["temporal_feature"])
        x = found["hybrid_attention"].mean(axis=(1, 2))
    for name in ("fc1", "fc2"):
        if f"{name}/kernel" in w:
            x = leaky(dense(w, name, x))
    return found | {"logits": dense(w, "logits", x)}


def per_window(w, name, x):
    """A 3x3x3 convolution of each window with its own kernel, or the same one for all."""
    kernels = w[f"{name}/kernel"]
    if kernels.shape[0] != WINDOWS:
        return convolve(w, name, x)
    channels, out = x.shape[-1], []
    for window in range(WINDOWS):
        height, width, _, filters = kernels[window].shape
        kernel = kernels[window].reshape(height, width, 3, channels, filters)
        own = {"c/kernel": kernel.transpose(2, 0, 1, 3, 4), "c/bias": w[f"{name}/bias"][window]}
        out.append(convolve(own, "c", x)[:, window])
    return np.stack(out, axis=1)


def attention(w, windows, t, prefix=""):
    """Equations 10 to 17."""
    s1, s2 = windows[:, :4].mean(axis=1), windows[:, 4:].mean(axis=1)
    gamma = gelu(s1) * gelu(s2)
    beta = softmax(gamma, (1, 2))
    attended = dense(w, f"{prefix}spatial_attention/dense", np.concatenate([beta, gamma], axis=-1))
    batch, height, width, channels = attended.shape
    squares = attended.reshape(batch, height // 2, 2, width // 2, 2, channels)
    scores = 0
    for row in (0, 1):
        hybrid = f"{prefix}hybrid_attention"
        branch = squares[:, :, row].reshape(batch, height // 2, width // 2, 2 * channels)
        branch = np.stack([peaks(one) for one in branch])
        branch = dense(w, f"{hybrid}/fc{row + 1}", branch)
        final = np.zeros_like(attended)
        for corner, (i, j) in enumerate(np.ndindex(2, 2)):  # a quarter of the channels each, twice
            quarter = branch[..., corner * channels // 2 : (corner + 1) * channels // 2]
            final[:, i::2, j::2] = quarter.repeat(2, axis=-1)
        scores = scores + final @ w[f"{hybrid}/w{row + 1}_kernel"]
    weighted = softmax(scores / np.sqrt(channels), 3) * channels * t
    return {
        "merge_windows": np.stack([s1, s2], axis=1),
        "spatial_attention": attended,
        "hybrid_attention": weighted,
    }


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def softmax(x, axes):
    powers = np.exp(x - x.max(axis=axes, keepdims=True))
    return powers / powers.sum(axis=axes, keepdims=True)
