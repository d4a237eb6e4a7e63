"""Every registered model says which layer has its last maps, and Grad-CAM finds them there."""

import dataclasses

import numpy as np
import pytest

from tests.experiment.test_recipes import SMALL
from vidrec.evaluation.grad_cam import grad_cam
from vidrec.models import registry

# (model, modalities, options): time steps of the maps; one if the clip has one.
CASES = [
    ("multiseg_xception", ("rgb",), {}),
    ("multiseg_xception", ("flow",), {}),
    ("deep_fusion_tpn", None, {}),
    ("tstam", ("rgb",), {}),
    ("tstam", ("flow",), {"se_blocks": []}),
    ("vcm_sdd", None, {}),
    ("hst", None, {"backbone": "resnet21"}),
    ("hst", None, {"backbone": "vgg13"}),
    ("conv3d_baselines", None, {"network": "r3d"}),
    ("conv3d_baselines", None, {"network": "r2plus1d", "column": "vgg13"}),
    ("conv3d_baselines", None, {"network": "c3d"}),
]


def test_no_model_is_left_out():
    assert {name for name, *_ in CASES} == set(registry.MODELS)


@pytest.mark.parametrize(("name", "modalities", "options"), CASES)
def test_evidence_of_every_model(name, modalities, options):
    module = registry.get(name)
    clip, small = SMALL[name]
    changes = dict(clip) | ({"modalities": modalities} if modalities else {})
    if options.get("network") == "c3d":
        small = {"width": small["width"]}
    clip = dataclasses.replace(module.DEFAULT_CLIP, **changes)
    model = module.build(3, clip, **options | small)
    rng = np.random.default_rng(0)
    clips = {m: rng.integers(0, 256, (2, *clip.shape(m)), np.uint8) for m in clip.modalities}
    found = np.stack([grad_cam(model, clips, [n, n], module.LAST_MAPS) for n in range(3)])
    assert found.shape[1] == 2
    assert clip.frames % found.shape[2] == 0
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() > 0  # at least for one of the classes
