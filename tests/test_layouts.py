import re

import pytest

from vidrec.layouts import LAYOUTS, PACKED
from vidrec.store import Row, Store

# contract 3 of the architecture page, for the video "Archery/v_Archery_g01_c02"
PATHS = {
    "vidrec": (
        "frames/Archery/v_Archery_g01_c02/img_00012.jpg",
        "flow/Archery/v_Archery_g01_c02/flow_x_00012.jpg",
        "flow/Archery/v_Archery_g01_c02/flow_y_00012.jpg",
    ),
    "tsn": (
        "v_Archery_g01_c02/img_00012.jpg",
        "v_Archery_g01_c02/flow_x_00012.jpg",
        "v_Archery_g01_c02/flow_y_00012.jpg",
    ),
    "mmaction2": (
        "Archery/v_Archery_g01_c02/img_00012.jpg",
        "Archery/v_Archery_g01_c02/x_00012.jpg",
        "Archery/v_Archery_g01_c02/y_00012.jpg",
    ),
    "feichtenhofer": (
        "jpegs_256/v_Archery_g01_c02/frame000012.jpg",
        "tvl1_flow/u/v_Archery_g01_c02/frame000012.jpg",
        "tvl1_flow/v/v_Archery_g01_c02/frame000012.jpg",
    ),
}
KINDS = ("frame", "flow_x", "flow_y")


@pytest.mark.parametrize("layout", PATHS)
def test_paths(tmp_path, layout):
    store = Store(tmp_path, layout)
    video_id = "Archery/v_Archery_g01_c02"
    for kind, path in zip(KINDS, PATHS[layout], strict=True):
        assert store.path(kind, video_id, 12) == tmp_path / path
        assert store.folder(kind, video_id) == (tmp_path / path).parent
        prefix, digits, suffix = store.names.parts(kind, video_id)
        assert f"{prefix}{12:0{digits}d}{suffix}" == path


def test_all_layouts_of_loose_files_are_tested():
    assert set(PATHS) == set(LAYOUTS)
    assert PACKED == "tfrecord"
    assert PACKED not in LAYOUTS


def test_a_packed_store_has_an_index_and_no_paths(tmp_path):
    store = Store(tmp_path, "tfrecord")
    store.append(Row(video_id="A/v", label="A", n_frames=5))
    assert store.rows()["A/v"].n_frames == 5
    text = re.escape(
        "the layout 'tfrecord' must be read as TFRecords: its images are packed, and have no "
        f"paths. Received: root='{tmp_path}'. To get loose files, unpack it with `vidrec pack "
        "--unpack`."
    )
    for ask in (
        lambda: store.names,
        lambda: store.path("frame", "A/v", 1),
        lambda: store.folder("flow_x", "A/v"),
    ):
        with pytest.raises(ValueError, match=text):
            ask()


def test_unknown_layout(tmp_path):
    text = (
        "`layout` must be one of ['feichtenhofer', 'mmaction2', 'tfrecord', 'tsn', 'vidrec']. "
        "Received: layout='kinetics'"
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        Store(tmp_path, "kinetics")
