"""RGB and flow of one network must be of the same videos, which no backend checks by itself."""


def check_same(rgb_shape, flow_shape, *, axis=0, what="videos"):
    """Refuses tensors of both modalities that differ along an axis, where both lengths are known.

    A batch of one beside a batch of several would be broadcast.

    Args:
        rgb_shape, flow_shape: tuples of int or None.
        axis: int.
        what: str, what the axis counts.

    Raises:
        ValueError: if the lengths differ.
    """
    lengths = rgb_shape[axis], flow_shape[axis]
    if None not in lengths and lengths[0] != lengths[1]:
        raise ValueError(
            f"`rgb` and `flow` must hold the same {what}. "
            f"Received: {lengths[0]} and {lengths[1]} of them"
        )
