"""The recipes of the five papers, number by number: what is theirs, and what their specifications
decide where they are silent. Numbers in brackets are rows of the decision tables."""

import math
from typing import NamedTuple


class Row(NamedTuple):
    """A stage. rates: of each epoch from which on it holds."""

    name: str
    layers: str
    parameters: int  # that are trained, at full size
    epochs: int
    batch: int
    optimizer: dict
    rates: dict
    stop: dict | None = None


class Recipe(NamedTuple):
    """What a paper's file must say. clip: (T, S) of training. tested: T of the test. dropout: the
    rates of all such layers, rising."""

    stream: str
    split: str
    init: dict
    options: dict
    clip: tuple
    tested: int
    dropout: tuple
    stages: tuple


def xception(stream, parameters, batches, *, split="random-8:2", init):
    """Qiao et al., 3.4.2 and 4.2: the last so many of three stages."""
    stable = {"patience": 3, "tolerance": 0.005, "rate_at_most": 0.005}
    thawed = {0: 0.005, 10: 0.001, 20: 0.0002, 30: 0.0001}, {"patience": 8, "tolerance": 0.002}
    every = (
        ("head", 30, {0: 0.05, 10: 0.01, 20: 0.002}, stable),
        ("last33", 40, *thawed),
        ("all", 50, *thawed),
    )[-len(batches) :]
    stages = tuple(
        Row(name, name, count, epochs, batch, {"name": "sgd"}, *when)
        for (name, epochs, *when), count, batch in zip(every, parameters, batches, strict=True)
    )
    return Recipe(stream, split, init, {}, (3, 224), 3, (0.8,), stages)


def deep_fusion(parameters):
    """Ou and Sun, 3.6."""
    stop = {"patience": 3, "tolerance": 0.002}
    stages = tuple(
        Row(name, "all", parameters, epochs, 1, {"name": "adam"}, {0: rate}, stop)
        for name, epochs, rate in (("first", 30, 1e-5), ("second", 10, 1e-6))
    )
    init = {"weights": "imagenet"}
    return Recipe("joint", "random-7:3", init, {}, (24, 224), 24, (0.25, 0.5), stages)


def tstam(stream, parameters, *, tsn=False):
    """Shi et al., 4.2; `tsn`: with two settings more of TSN's [T31, T33]."""
    epochs, first, second = {"spatial": (80, 30, 60), "temporal": (340, 190, 300)}[stream]
    optimizer = {"name": "sgd", "momentum": 0.9, "weight_decay": 0.0005}
    optimizer |= {"clip_norm": 20} if tsn else {}
    rates = {0: 1e-3, first: 1e-4, second: 1e-5}
    return Recipe(
        stream,
        "official-1",
        {"weights": "weights/bn_inception.npz"},
        {"partial_bn": True} if tsn else {},
        (6, 224),
        25,
        ({"spatial": 0.8, "temporal": 0.7}[stream],),
        (Row("all", "all", parameters, epochs, 32, optimizer, rates),),
    )


def vcm_sdd(parameters, rates=(0.008,), clip=None, **options):
    """Gong and Li, Table 1; PyTorch's AdamW [V26]; a test on 16 segments of 6 frames."""
    optimizer = {"name": "adamw", "weight_decay": 0.01, "epsilon": 1e-8}
    optimizer |= {"clip_norm": clip} if clip else {}
    return Recipe(
        "joint",
        "official",
        {"weights": "weights/resnet101.npz"},
        options,
        (6, 224),
        96,
        (),
        (Row("all", "all", parameters, 100, 128, optimizer, dict(enumerate(rates))),),
    )


def hst(stream, parameters, rate, size, dropout=(), **options):
    """Cai and Cai, section 4; PyTorch's epsilon."""
    optimizer = {"name": "adam", "epsilon": 1e-8}
    stage = Row("all", "all", parameters, 100, 64, optimizer, {0: rate})
    return Recipe(stream, "official-1", {}, options, (16, size), 16, dropout, (stage,))


# Half a cosine of 100 epochs, which is a squared one of a quarter, behind five steps up [V26].
RISING_AND_FALLING = [
    0.0005 * min(1, (epoch + 1) / 5) * math.cos(math.pi * epoch / 200) ** 2 for epoch in range(100)
]
IMAGENET = {"weights": "imagenet"}
KINETICS = {"run": "runs/kinetics400_spatial/spatial", "include_head": False}
RECIPES = {
    "multiseg_xception/ucf101_spatial": xception(
        "spatial", (206_949, 9_685_293, 21_013_901), (256, 128, 100), init=IMAGENET
    ),
    "multiseg_xception/ucf101_temporal": xception(
        "temporal", (21_018_797,), (64,), init={"run": "runs/ucf101_spatial/spatial"}
    ),
    "multiseg_xception/kinetics400_spatial": xception(
        "spatial",
        (819_600, 10_297_944, 21_626_552),
        (10, 10, 10),
        split="random-8:1:1",
        init=IMAGENET,
    ),
    "multiseg_xception/ucf101_spatial_kinetics400": xception(
        "spatial", (21_013_901,), (100,), init=KINETICS
    ),
    "deep_fusion_tpn/ucf101": deep_fusion(216_005_251),
    "deep_fusion_tpn/ucf11": deep_fusion(215_986_981),
    "deep_fusion_tpn/ucf_sports": deep_fusion(215_986_778),
    "tstam/ucf101_spatial": tstam("spatial", 14_796_943),
    "tstam/ucf101_temporal": tstam("temporal", 14_818_895),
    "tstam/hmdb51_spatial": tstam("spatial", 14_592_093),
    "tstam/hmdb51_temporal": tstam("temporal", 14_614_045),
    "tstam/ucf101_spatial_tsn": tstam("spatial", 14_796_943, tsn=True),
    "tstam/ucf101_temporal_tsn": tstam("temporal", 14_818_895, tsn=True),
    "tstam/hmdb51_spatial_tsn": tstam("spatial", 14_592_093, tsn=True),
    "tstam/hmdb51_temporal_tsn": tstam("temporal", 14_614_045, tsn=True),
    "vcm_sdd/kinetics400": vcm_sdd(86_661_728),
    "vcm_sdd/kinetics400_no_stc": vcm_sdd(86_661_472, stc=False),
    "vcm_sdd/kinetics400_no_mff": vcm_sdd(86_661_728, mff=False),
    "vcm_sdd/kinetics400_tsn": vcm_sdd(86_661_472, stc=False, mff=False),
    "vcm_sdd/kinetics400_safe": vcm_sdd(86_661_728, RISING_AND_FALLING, clip=1),
    "vcm_sdd/kinetics600": vcm_sdd(87_481_328, (0.012,)),
    "hst/hmdb51": hst("joint", 35_537_042, 0.01, 224, backbone="resnet21"),
    "hst/ucf101": hst("joint", 24_480_446, 0.01, 224, backbone="vgg13"),
    **{
        f"hst/{data}_{network}": hst(
            "spatial", parameters, rate, size, dropout, network=network, column=column
        )
        for data, column, size, network, parameters, rate, dropout in (
            ("hmdb51", "resnet21", 112, "c3d", 78_204_723, 0.0001, (0.5, 0.5)),
            ("hmdb51", "resnet21", 112, "r3d", 65_512_179, 0.001, ()),
            ("hmdb51", "resnet21", 112, "r2plus1d", 65_530_956, 0.001, ()),
            ("ucf101", "vgg13", 224, "c3d", 42_510_565, 0.0001, ()),
            ("ucf101", "vgg13", 224, "r3d", 26_781_281, 0.001, ()),
            ("ucf101", "vgg13", 224, "r2plus1d", 35_705_265, 0.001, ()),
        )
    },
}
