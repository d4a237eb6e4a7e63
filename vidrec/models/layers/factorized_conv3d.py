"""3D convolutions as a spatial and a temporal one, and several scales of them side by side
(Ou and Sun 2021, section 3.1).

Axis letters: B batch, T moments, H W cells, C channels, F filters.
"""

from keras import layers


def conv3d(maps, filters, *, spatial=3, temporal=3, factorize=True, factor_activation=None, name):
    """A 3D convolution with ReLU: 1 x s x s and then t x 1 x 1, or t x s x s at once.

    Args:
        maps: tensor (B, T, H, W, C).
        filters: int, F, of both factors.
        spatial, temporal: int, s and t.
        factorize: bool.
        factor_activation: None or "relu", of the spatial factor.
        name: str, the layer's; of the factors with "_spatial" and "_temporal" after it.

    Returns:
        Tensor (B, T, H, W, F).
    """
    if not factorize:
        return _conv3d(filters, (temporal, spatial, spatial), "relu", name)(maps)
    maps = _conv3d(filters, (1, spatial, spatial), factor_activation, f"{name}_spatial")(maps)
    return _conv3d(filters, (temporal, 1, 1), "relu", f"{name}_temporal")(maps)


def mst_conv3d(
    maps, filters, *, spatial=(1, 3, 5), temporal=(3, 3, 5), factor_activation=None, name
):
    """MST_3DCNN: factorised convolutions of several spatial and temporal scales, concatenated.

    Args:
        maps: tensor (B, T, H, W, C).
        filters: int, F, of each branch.
        spatial, temporal: ints of the same length n, s and t of each branch.
        factor_activation: see `conv3d`.
        name: str, the layer's; its branches are "<name>_b1", ...

    Returns:
        Tensor (B, T, H, W, n * F).

    Raises:
        ValueError: if the scales are not n pairs of numbers >= 1.
    """
    if not spatial or len(spatial) != len(temporal) or min(*spatial, *temporal) < 1:
        raise ValueError(
            "`mst_spatial` and `mst_temporal` must be as many numbers >= 1 each. "
            f"Received: mst_spatial={tuple(spatial)}, mst_temporal={tuple(temporal)}"
        )
    branches = [
        conv3d(
            maps,
            filters,
            spatial=s,
            temporal=t,
            factor_activation=factor_activation,
            name=f"{name}_b{branch}",
        )
        for branch, (s, t) in enumerate(zip(spatial, temporal, strict=True), start=1)
    ]
    return layers.Concatenate(name=name)(branches)


def _conv3d(filters, size, activation, name):
    """He's initialisation before a ReLU; without one, half its variance keeps the scale."""
    start = "he_normal" if activation == "relu" else "lecun_normal"
    return layers.Conv3D(
        filters, size, padding="same", activation=activation, kernel_initializer=start, name=name
    )
