"""The models by name. Each is a module with `build(num_classes, clip, *, weights, ...)`."""

from vidrec.models import deep_fusion_tpn, multiseg_xception

MODELS = {"multiseg_xception": multiseg_xception, "deep_fusion_tpn": deep_fusion_tpn}


def get(name):
    """The module of a model: its `build` and its `DEFAULT_CLIP`.

    Raises:
        ValueError: if there is no such model.
    """
    if name not in MODELS:
        raise ValueError(f"`model` must be one of {sorted(MODELS)}. Received: model={name!r}")
    return MODELS[name]
