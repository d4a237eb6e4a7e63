"""What is wrong with flow images: their codes, and whether they are the motion of their frames."""

import cv2
import numpy as np

from vidrec.clip import ClipSpec, decode_flow, encode_flow
from vidrec.experiment.diagnosis.finding import Finding
from vidrec.extraction.engines import FlowSettings, compute_flow
from vidrec.pipeline.source import ClipSource

VIDEOS, PLACES = 24, 3  # that are looked at, and pairs of each
MOVES = 1.0  # px, of a pixel that counts as moving
SATURATED = 0.05  # share of codes at an end of the scale
FULL = 0.8  # share of images that reach both ends: each was scaled by itself
FLAT = 1.5  # deviation of codes: hardly anything is left of the motion
CENTRE = 4  # codes that the median may be off that of the frames' own motion
ALIKE, UNLIKE = 0.5, 0.25  # cosines
SCALE = 1.6  # times that flow may be too small or too large
OTHERS = {  # what else the two channels may be, as (u, v) of (a, b)
    "x and y are swapped": lambda a, b: (b, a),
    "its sign is turned round, as if frames were taken from last to first": lambda a, b: (-a, -b),
    "the sign of x is turned round": lambda a, b: (-a, b),
    "the sign of y is turned round": lambda a, b: (a, -b),
    "x and y are swapped and their sign is turned round": lambda a, b: (-b, -a),
    "x and y are swapped, and the sign of what was x is turned round": lambda a, b: (b, -a),
    "x and y are swapped, and the sign of what was y is turned round": lambda a, b: (-b, a),
}


def flow_findings(store, table, settings):
    """Findings of a store's flow.

    Args:
        store: Store, loose or packed.
        table: DataFrame, rows of its index whose flow is whole.
        settings: config.Flow, what the experiment says that it is.

    Yields:
        Finding.
    """
    table = table[table.n_frames > 3]
    if not len(table):
        return
    codes, given, found = _compare(store, table.iloc[:: max(1, len(table) // VIDEOS)], settings)
    if settings.quantize == "bound":
        scaled = _scaled_alone(codes)
        if scaled is not None:
            yield scaled  # nothing else means anything then
            return
        yield from _of_codes(codes, found, settings)
    yield from _of_motion(given, found, settings)


def _compare(store, table, settings):
    """Of some pairs of frames: the codes, uint8 (H, W, 2), what they say in px, float32, and what
    the experiment's engine says."""
    source = ClipSource(
        store=store,
        table=table,
        classes=sorted(set(table.label)),
        clip=ClipSpec(segments=PLACES, frames_per_segment=2, size=1, flow_length=1),
        short_video="pad",
    )
    engine = FlowSettings(engine=settings.engine).available().engine
    tensors, codes, given, motion = source.tensors(), [], [], []
    for video in range(len(table)):
        encoded, _ = source.read(tensors, video, None)
        clip = {name: images.numpy() for name, images in encoded.decode().items()}
        for place in range(0, 2 * PLACES, 2):
            before, after = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in clip["rgb"][place:][:2])
            codes.append(clip["flow"][place])
            given.append(decode_flow(codes[-1], bound=settings.bound))
            motion.append(compute_flow(before, after, engine=engine))
    return codes, given, motion


def _scaled_alone(codes):
    spans = np.array([np.ptp(image[..., axis]) for image in codes for axis in (0, 1)])
    full = (spans >= 254).mean()
    if full <= FULL:
        return None
    return Finding(
        how="likely",
        cause="each flow image was scaled to its own smallest and largest motion",
        seen=f"{full:.0%} of the images have codes 0 and 255",
        advice="extract flow with one bound for all (vidrec extract-flow), or set "
        "data.flow.quantize: minmax in training and test alike",
    )


def _of_codes(codes, found, settings):
    """Of the codes beside those that the frames' own motion would have."""
    own = [encode_flow(flow, bound=settings.bound) for flow in found]
    every, own = (np.concatenate([x.reshape(-1, 2) for x in each]) for each in (codes, own))
    ends, middle = np.isin(every, (0, 255)).mean(), np.median(every, axis=0)
    if ends > SATURATED and ends > 2 * np.isin(own, (0, 255)).mean():
        yield Finding(
            how="likely",
            cause="the bound of the flow is too small: much motion is cut off",
            seen=f"{ends:.1%} of the codes are 0 or 255",
            advice=f"extract with a bound larger than {settings.bound:g} px, 20 as in the papers",
        )
    if every.std() < FLAT and own.std() > 2 * every.std():
        yield Finding(
            how="likely",
            cause="hardly any motion is in the flow: its bound is too large",
            seen=f"the codes' standard deviation is {every.std():.2f}; that of the frames' own "
            f"motion would be {own.std():.2f}",
            advice="extract with a bound of 20 px; look at it with vidrec data preview",
        )
    if np.abs(middle - np.median(own, axis=0)).max() > CENTRE:
        yield Finding(
            how="likely",
            cause="no motion is not code 128",
            seen=f"the codes' medians are {middle[0]:.0f} (x) and {middle[1]:.0f} (y)",
            advice="extract flow again (vidrec extract-flow), or find out how it was coded",
        )


def _of_motion(given, found, settings):
    moving = np.concatenate([np.linalg.norm(flow, axis=2).ravel() > MOVES for flow in found])
    if settings.quantize != "bound":  # zero and scale differ from image to image, and channel
        given, found = ([_standard(flow) for flow in each] for each in (given, found))
    a, b = (np.concatenate([flow.reshape(-1, 2) for flow in each]) for each in (given, found))
    length = np.linalg.norm(b, axis=1)
    if moving.mean() < 1e-3:
        return
    a, b = a[moving], b[moving]
    fits = {name: _cosine(np.stack(turn(*a.T), axis=1), b) for name, turn in OTHERS.items()}
    as_is, (other, fit) = _cosine(a, b), max(fits.items(), key=lambda item: item[1])
    if fit > ALIKE and as_is < fit - 0.2:
        yield Finding(
            how="sure",
            cause=f"the flow is not what the network expects: {other}",
            seen=f"it agrees with the frames' own motion by {as_is:.2f}, otherwise by {fit:.2f}",
            advice="extract flow again (vidrec extract-flow), or rename its images: flow_x is "
            "motion to the right, flow_y down, from each frame to the next",
        )
    elif as_is < UNLIKE:
        yield Finding(
            how="likely",
            cause="the flow is not that of its frames: of other videos, or of another frame rate",
            seen=f"it agrees with the frames' own motion by {as_is:.2f} (1 is the same)",
            advice="vidrec audit, and look at it with vidrec data preview",
        )
    elif settings.quantize == "bound":
        ratio = float(np.median(length[moving]) / max(np.median(np.linalg.norm(a, axis=1)), 1e-6))
        if not 1 / SCALE < ratio < SCALE:
            yield Finding(
                how="likely",
                cause=f"the bound of the flow is not {settings.bound:g} px, about "
                f"{settings.bound * ratio:.0f} px",
                seen=f"the frames' own motion is {ratio:.2f} times as long",
                advice="set data.flow.bound to what it was extracted with, or extract it again",
            )


def _standard(flow):
    """Mean 0 and deviation 1 of each channel."""
    return (flow - flow.mean(axis=(0, 1))) / (flow.std(axis=(0, 1)) + 1e-6)


def _cosine(a, b):
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-9))
