"""Every model scales its uint8 clips in float32, whatever the policy: bfloat16 has 8 bits of a
number, and flow codes next to each other would become the same."""

import keras
import numpy as np
import pytest

from vidrec.models import registry

NORMALISING = {  # the layers that take clips
    "multiseg_xception": {"rgb_rescale", "flow_rescale"},
    "deep_fusion_tpn": {"rgb_normalize", "flow_center"},
    "tstam": {"rgb_centre", "flow_centre"},
    "vcm_sdd": {"rgb_normalize", "flow_normalize"},
    "hst": {"rgb_normalize", "flow_normalize"},
    "conv3d_baselines": {"rgb_normalize"},
}


def test_no_registered_model_is_missing_from_the_table():
    assert set(NORMALISING) == set(registry.MODELS)


@pytest.mark.parametrize("policy", ["mixed_bfloat16"], indirect=True)
@pytest.mark.parametrize("name", NORMALISING)
def test_clips_are_scaled_in_float32(outline, policy, name):
    model = outline(registry.get(name).build, 5)
    found = {
        layer.name: layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.Rescaling) and layer.name in NORMALISING[name]
    }
    assert set(found) == NORMALISING[name]
    for layer in found.values():
        codes = np.arange(120, 137, dtype=np.uint8)[:, None].repeat(np.size(layer.offset), axis=1)
        scaled = np.asarray(layer(codes))
        assert scaled.dtype == np.float32
        wanted = codes * np.float64(layer.scale) + np.float64(layer.offset)
        np.testing.assert_allclose(scaled, wanted, atol=1e-5)
        behind = {x.dtype for node in layer._outbound_nodes for x in node.output_tensors}
        assert behind == {"bfloat16"}
