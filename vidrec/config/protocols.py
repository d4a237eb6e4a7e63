"""The tests of the papers by name: what `evaluation: {protocol: NAME}` stands for."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
    """A test.

    Attributes:
        of: str, whose it is.
        says: str, in a sentence.
        settings: dict of the keys of `evaluation` that make it.
        frames: int or None, T of the clip that it is for, where that is part of it.
        policy: str or None, the sampling that it is for.
    """

    of: str
    says: str
    settings: dict
    frames: int | None = None
    policy: str | None = None


_CENTRE = {"sampling": "centre", "crops": 1, "clips": 1}


def _segments(number, tables):
    return Protocol(
        of=f"VCM-SDD, section 4.1 and {tables}",
        says=f"6 frames of each of {number} segments, logits averaged, the central crop",
        settings=_CENTRE | {"segments": number},
        frames=number * 6,
        policy="even",
    )


PROTOCOLS = {
    "three-draws": Protocol(
        of="Qiao et al. 2021, section 3.4.2",
        says="random frames, drawn three times: the mean of three accuracies, and their range",
        settings={"sampling": "random", "draws": 3, "crops": 1, "average": "accuracy"},
    ),
    "centre": Protocol(
        of="common",
        says="the middle of each segment, one view",
        settings=_CENTRE,
    ),
    "25-frames-10-crops": Protocol(
        of="TSN; T-STAM, section 4.2",
        says="25 frames at even distances, ten crops, whose probabilities are averaged",
        settings={
            "sampling": "centre",
            "segments": 25,
            "crops": 10,
            "clips": 1,
            "views_on": "probabilities",
        },
        frames=25,
        policy="intervals",
    ),
    "8-segments": _segments(8, "Tables 3 and 4"),
    "16-segments": _segments(16, "Tables 2 to 4"),
    "24-frames": Protocol(
        of="deep fusion, section 3.6",
        says="24 frames spread evenly over the video, one view",
        settings=_CENTRE,
        frames=24,
        policy="strided",
    ),
    "dense-clips": Protocol(
        of="common for 3D networks (non-local networks, section 4)",
        says="ten clips in a row at even distances, whose probabilities are averaged",
        settings={"sampling": "centre", "clips": 10, "views_on": "probabilities"},
        policy="consecutive",
    ),
}


def settings_of(name, given):
    """The keys of `evaluation` with those of its protocol.

    Args:
        name: str, one of PROTOCOLS.
        given: dict, the keys that the file gives.

    Returns:
        dict.

    Raises:
        ValueError: if there is no such protocol, or a key says something else than it.
    """
    if not isinstance(name, str) or name not in PROTOCOLS:
        raise ValueError(
            f"`protocol` must be one of {', '.join(PROTOCOLS)}. Received: protocol={name!r}"
        )
    fixed = PROTOCOLS[name].settings
    other = {key: given[key] for key in fixed if given.get(key, fixed[key]) != fixed[key]}
    if other:
        own = {key: fixed[key] for key in other}
        raise ValueError(
            f"protocol {name} has {own}. Received: {other}. Leave them, or the protocol, out"
        )
    return given | fixed


def check_protocol(name, *, frames, policy):
    """Refuses an experiment that a protocol is not for.

    Args:
        name: str, one of PROTOCOLS.
        frames: int, T of the test's clip.
        policy: str, the sampling.

    Raises:
        ValueError: naming what it is for.
    """
    wanted = PROTOCOLS[name]
    if wanted.policy not in (None, policy):
        raise ValueError(
            f"protocol {name} is for `sampling: {{policy: {wanted.policy}}}`. Received: {policy}"
        )
    if wanted.frames not in (None, frames):
        raise ValueError(
            f"protocol {name} is for a test of {wanted.frames} frames. Received: {frames} frames"
        )
