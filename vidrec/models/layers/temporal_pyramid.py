"""Temporal Pyramid Net: means over moments at several time scales (Ou and Sun 2021, section 3.3).

Built-in layers without parameters. Axis letters: B batch, T moments, H W cells, C channels.
"""

from keras import layers


def temporal_pyramid(maps, *, levels=(1, 2, 4), window=8, join_levels=True):
    """Parts T moments into windows, and each window's moments into 1, 2, 4, ... means.

    Level v has v maps a window, each the mean of window / v moments in a row, in order of time.
    Levels of a window stand one after the other. The means of level v are means of those of a
    multiple of v, so that sum(levels) maps have max(levels) maps' degrees of freedom.

    Args:
        maps: tensor (B, T, H, W, C), T static and a multiple of `window`.
        levels: ints that divide `window`.
        window: int, moments.
        join_levels: bool. True makes one vector of a window, (B, T / window, sum(levels) H W C);
            False one of each map, (B, sum(levels) T / window, H W C).

    Returns:
        Tensor as told, the sequence that a recurrent network reads.

    Raises:
        ValueError: if the windows do not fit the moments, or the levels the window.
    """
    moments, *cells = maps.shape[1:]
    if window < 1 or moments % window:
        raise ValueError(
            f"The moments must be a multiple of `tpn_window`. Received: {moments} moments, "
            f"tpn_window={window}"
        )
    fitting = [level for level in levels if level >= 1 and window % level == 0]
    if not levels or sorted(set(levels)) != sorted(fitting):
        raise ValueError(
            "`tpn_levels` must be different numbers >= 1 that divide `tpn_window`. "
            f"Received: tpn_levels={tuple(levels)}, tpn_window={window}"
        )
    windows = moments // window
    means = []
    for level in levels:
        pool = layers.AveragePooling3D((window // level, 1, 1), name=f"tpn_level{level}")
        split = layers.Reshape((windows, level, *cells), name=f"tpn_level{level}_windows")
        means.append(split(pool(maps)))
    pyramid = layers.Concatenate(axis=2, name="tpn_concat")(means)
    steps = windows if join_levels else windows * sum(levels)
    return layers.Reshape((steps, -1), name="tpn_flatten")(pyramid)
