"""The models by name. Each is a module with `build(num_classes, clip, *, weights, ...)`.

A model's clips must be uint8 (`vidrec.clip`). Keras casts other types without a word, before a
layer of ours could refuse them: 1.7 becomes 1, 300 becomes 44, and NaN some number.
"""

from vidrec.models import (
    conv3d_baselines,
    deep_fusion_tpn,
    hst,
    multiseg_xception,
    tstam,
    vcm_sdd,
)

MODELS = {
    "multiseg_xception": multiseg_xception,
    "deep_fusion_tpn": deep_fusion_tpn,
    "tstam": tstam,
    "vcm_sdd": vcm_sdd,
    "hst": hst,
    "conv3d_baselines": conv3d_baselines,
}

PAPERS = {
    "multiseg_xception": "Qiao, Liu, Xu, Liu, Yang: Two-Stream Convolutional Neural Network for "
    "Video Action Recognition. KSII Transactions on Internet and Information Systems 15(10), 2021. "
    "doi 10.3837/tiis.2021.10.011",
    "deep_fusion_tpn": "Ou, Sun: Multi-scale spatialtemporal information deep fusion network with "
    "temporal pyramid mechanism for video action recognition. Journal of Intelligent & Fuzzy "
    "Systems 41(4), 2021. doi 10.3233/JIFS-189714",
    "tstam": "Shi, Li, Liu, Dai: T-STAM: end-to-end action recognition model based on two-stream "
    "network with spatio-temporal attention mechanism. Application Research of Computers 38(3), "
    "2021",
    "vcm_sdd": "Gong, Li: A Video Classification Method Based on Spatiotemporal Detail Attention "
    "and Feature Fusion. Mathematical Problems in Engineering, 2022",
    "hst": "Cai, Cai: Hierarchy Spatial-Temporal Transformer for Action Recognition in Short "
    "Videos",
    "conv3d_baselines": "C3D, R3D and R(2+1)D as compared by Cai, Cai: Hierarchy Spatial-Temporal "
    "Transformer for Action Recognition in Short Videos",
}


def get(name):
    """The module of a model: its `build`, its `DEFAULT_CLIP`, `BACKBONES`, the ends of its
    backbones' names, for `vidrec.training.stages.set_trainable`, and `LAST_MAPS`, the regular
    expression of the last layer with maps, for `vidrec.evaluation.grad_cam`: of a model of both
    modalities, that which is nearest to the frames. It may state limits, which
    `vidrec.experiment.cautions` reads: `LONGEST_VIDEO`, in seconds, and `UNSTABLE_RATES`, learning
    rates by its option `network`.

    Raises:
        ValueError: if there is no such model.
    """
    if name not in MODELS:
        raise ValueError(f"`model` must be one of {sorted(MODELS)}. Received: model={name!r}")
    return MODELS[name]
