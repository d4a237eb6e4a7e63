"""Papers' warnings are passed on."""

import pandas as pd
import pytest

from tests.experiment.conftest import STAGE, experiment
from vidrec.experiment.cautions import caution

VIDEOS = pd.DataFrame(
    [("a/short", 749, 25.0), ("a/long", 751, 25.0), ("b/long", 3000, 30.0), ("b/none", 999, None)],
    columns=["video_id", "n_frames", "fps"],
)


def plan(tmp_path, model, stream, rate=0.05, **options):
    stage = STAGE | {"schedule": {"rate": rate}}
    return experiment(
        tmp_path,
        streams={stream: {"stages": [stage]}},
        model={"name": model, "options": options},
    )


def test_hst_is_for_short_videos(tmp_path):
    message = "hst is for videos of up to 30 s, says its paper: 2 are longer, a/long for one"
    with pytest.warns(UserWarning, match=message):
        caution(plan(tmp_path, "hst", "joint"), "joint", VIDEOS)
    caution(plan(tmp_path, "hst", "joint"), "joint", VIDEOS.iloc[[0, 3]])
    caution(plan(tmp_path, "vcm_sdd", "joint"), "joint", VIDEOS)


@pytest.mark.parametrize("options", [{}, {"network": "c3d"}])
def test_c3d_ends_in_nan_at_a_rate_of_a_tenth(options, tmp_path):
    message = "stage head has a learning rate of 0.1: the paper saw c3d end in NaN at 0.1"
    given = plan(tmp_path, "conv3d_baselines", "spatial", 0.1, **options)
    with pytest.warns(UserWarning, match=message):
        caution(given, "spatial", VIDEOS)


def test_other_networks_and_rates(tmp_path):
    for rate, network in ((0.09, "c3d"), (0.1, "r3d")):
        given = plan(tmp_path, "conv3d_baselines", "spatial", rate, network=network)
        caution(given, "spatial", VIDEOS)
