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
