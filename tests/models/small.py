"""A small model of every kind that is registered, for tests that all models go through."""

import dataclasses
import functools
from collections.abc import Callable

import keras

from tests.models import small_conv3d, small_deep_fusion, small_hst, small_tstam, small_vcm_sdd
from tests.models.conftest import CLASSES, CLIP, adapt, random_clips
from vidrec.clip import ClipSpec
from vidrec.models import multiseg_xception, tstam


@dataclasses.dataclass(frozen=True)
class Small:
    """`build` makes the network with random weights; `liven` gives a network statistics of clips,
    and scores that are not all alike."""

    build: Callable[[], keras.Model]
    clip: ClipSpec
    liven: Callable = adapt

    def make(self, seed=3):
        """A network, and clips that it takes."""
        keras.utils.set_random_seed(seed)
        model, clips = self.build(), random_clips(self.clip)
        self.liven(model, clips)
        return model, clips


def _streams(module, clip, liven):
    """Each stream alone, and both in one fused model."""
    clips = {"rgb": clip.only("rgb"), "flow": clip.only("flow"), "pair": clip}
    return {
        name: Small(functools.partial(module.build, CLASSES, clip), clip, liven)
        for name, clip in clips.items()
    }


def _liven_hst(model, clips):
    small_hst.widen(model)
    adapt(model, clips)


SMALL = {
    "multiseg_xception": _streams(multiseg_xception, CLIP, adapt),
    "deep_fusion_tpn": {"joint": Small(small_deep_fusion.build, small_deep_fusion.CLIP)},
    "tstam": _streams(tstam, small_tstam.CLIP, small_tstam.liven),
    "vcm_sdd": {"joint": Small(small_vcm_sdd.build, small_vcm_sdd.CLIP, small_vcm_sdd.liven)},
    "hst": {
        backbone: Small(
            functools.partial(small_hst.build, backbone=backbone), small_hst.CLIP, _liven_hst
        )
        for backbone in ("resnet21", "vgg13")
    },
    "conv3d_baselines": {
        network: Small(functools.partial(small_conv3d.build, network), small_conv3d.CLIP)
        for network in ("c3d", "r3d", "r2plus1d")
    },
}
NETWORKS = {
    f"{model}-{kind}": each for model, kinds in SMALL.items() for kind, each in kinds.items()
}
