"""Small baselines for tests: an eighth of the channels, one block a stage."""

from vidrec.clip import ClipSpec
from vidrec.models import conv3d_baselines

CLASSES = 5
CLIP = ClipSpec(segments=1, frames_per_segment=16, size=64, modalities=("rgb",))
SIX = [(n, c) for c in ("resnet21", "vgg13") for n in conv3d_baselines.NETWORKS]


def build(network="c3d", column="resnet21", clip=CLIP, **options):
    small = {"width": 1 / 8}
    if (network, column) != ("c3d", "resnet21"):
        small["layer_sizes"] = (1, 1, 1, 1)
    options = {"network": network, "column": column, **small, **options}
    return conv3d_baselines.build(CLASSES, clip, **options)
