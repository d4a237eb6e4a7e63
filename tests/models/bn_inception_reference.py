"""BN-Inception as PyTorch computes it, in NumPy: what our network and its weights are held against.

Channels first, (B, C, H, W). Written from PyTorch's documented rules and the constructor arguments
of the public net, not from our code; each block says what it takes, so that a wrong width shows.
"""

import numpy as np

# block: in | 1x1 | 3x3 reduction, 3x3 | double reduction, double | pool's projection; 0 is none
WIDTHS = """
3a  192   64   64  64   64  96   32
3b  256   64   64  96   64  96   64
3c  320    0  128 160   64  96    0
4a  576  224   64  96   96 128  128
4b  576  192   96 128   96 128  128
4c  576  160  128 160  128 160  128
4d  608   96  128 192  160 192  128
4e  608    0  128 192  192 256    0
5a 1056  352  192 320  160 224  128
5b 1024  352  192 320  192 224  128
"""


def convolutions():
    """{name: (filters, channels, kernel)} of all 69, in order."""
    found = {
        "conv1_7x7_s2": (64, 3, 7),
        "conv2_3x3_reduce": (64, 64, 1),
        "conv2_3x3": (192, 64, 3),
    }
    for row in WIDTHS.strip().splitlines():
        block, *numbers = row.split()
        channels, one, reduce3, three, reduce_double, double, projection = map(int, numbers)
        layers = {
            "1x1": (one, channels, 1),
            "3x3_reduce": (reduce3, channels, 1),
            "3x3": (three, reduce3, 3),
            "double_3x3_reduce": (reduce_double, channels, 1),
            "double_3x3_1": (double, reduce_double, 3),
            "double_3x3_2": (double, double, 3),
            "pool_proj": (projection, channels, 1),
        }
        found |= {f"inception_{block}_{name}": shape for name, shape in layers.items() if shape[0]}
    return found


def random_state(seed=0):
    """A PyTorch state dict of float32 arrays, scaled so that activations neither die nor grow."""
    rng = np.random.default_rng(seed)
    state = {}
    for name, (filters, channels, k) in convolutions().items():
        scale = np.sqrt(2 / (channels * k * k))
        state |= {
            f"{name}.weight": rng.normal(0, scale, (filters, channels, k, k)),
            f"{name}.bias": rng.normal(0, 0.1, filters),
            f"{name}_bn.weight": rng.uniform(0.5, 1.5, filters),
            f"{name}_bn.bias": rng.normal(0, 0.2, filters),
            f"{name}_bn.running_mean": rng.normal(0, 0.2, filters),
            f"{name}_bn.running_var": rng.uniform(0.5, 1.5, filters),
        }
    state["last_linear.weight"] = rng.normal(0, 0.03, (1000, 1024))
    state["last_linear.bias"] = rng.normal(0, 0.03, 1000)
    return {name: value.astype(np.float32) for name, value in state.items()}


def forward(state, images):
    """Features (B, 1024, H/32, W/32) of float BGR images (B, 3, H, W), mean subtracted."""

    def unit(x, name, stride=1):
        kernel = state[f"{name}.weight"]
        x = _convolve(x, kernel, state[f"{name}.bias"], stride, padding=kernel.shape[-1] // 2)
        mean, variance, scale, shift = (
            state[f"{name}_bn.{kind}"][:, None, None]
            for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return np.maximum((x - mean) / np.sqrt(variance + 1e-5) * scale + shift, 0)

    x = _pool_max(unit(images, "conv1_7x7_s2", 2), stride=2, padding=0)
    x = _pool_max(unit(unit(x, "conv2_3x3_reduce"), "conv2_3x3"), stride=2, padding=0)
    for row in WIDTHS.strip().splitlines():
        block = f"inception_{row.split()[0]}"
        stride = 1 if f"{block}_1x1.weight" in state else 2
        parts = [unit(x, f"{block}_1x1")] if stride == 1 else []
        parts.append(unit(unit(x, f"{block}_3x3_reduce"), f"{block}_3x3", stride))
        y = unit(unit(x, f"{block}_double_3x3_reduce"), f"{block}_double_3x3_1")
        parts.append(unit(y, f"{block}_double_3x3_2", stride))
        if stride == 2:
            parts.append(_pool_max(x, stride=2, padding=0))
        else:
            pooled = _pool_max(x, 1, 1) if block.endswith("5b") else _pool_mean(x)
            parts.append(unit(pooled, f"{block}_pool_proj"))
        x = np.concatenate(parts, axis=1)
    return x


def _windows(x, size, stride):
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))
    return windows[:, :, ::stride, ::stride]


def _padded(x, before, after, value):
    return np.pad(x, ((0, 0), (0, 0), (before, after), (before, after)), constant_values=value)


def _convolve(x, kernel, bias, stride, padding):
    windows = _windows(_padded(x, padding, padding, 0), kernel.shape[-1], stride)
    return np.einsum("bchwyx,fcyx->bfhw", windows, kernel, optimize=True) + bias[:, None, None]


def _pool_max(x, stride, padding):
    """MaxPool2d(3, stride, padding, ceil_mode=True): the last window may reach over the border."""
    length = -(-(x.shape[-1] + 2 * padding - 3) // stride) + 1
    needed = (length - 1) * stride + 3
    x = _padded(x, padding, needed - x.shape[-1] - padding, -np.inf)
    return _windows(x, 3, stride).max(axis=(-2, -1))


def _pool_mean(x):
    """AvgPool2d(3, stride=1, padding=1, count_include_pad=True): always a ninth of the sum."""
    return _windows(_padded(x, 1, 1, 0), 3, 1).sum(axis=(-2, -1)) / 9
