"""What the index records of flow, and what is made again."""

import json

import cv2
import pytest

from tests.extraction.conftest import moved, put, texture
from tests.extraction.test_engines import TVL1
from vidrec.extraction.batch import extract_flow
from vidrec.extraction.engines import FlowSettings
from vidrec.extraction.jpeg import encode_jpeg
from vidrec.store import Row, Store


def test_two_processes_write_the_same_files(tmp_path):
    image = texture(4)
    clips = {f"A/v{n}": [moved(image, 0, 0), moved(image, n, -n)] for n in (1, 2, 3)}
    stores = [put(tmp_path / str(workers), clips) for workers in (0, 2)]
    tables = [extract_flow(store, workers=n) for n, store in zip((0, 2), stores, strict=True)]
    assert tables[0].equals(tables[1])
    for name in clips:
        for kind in ("flow_x", "flow_y"):
            one, two = (store.path(kind, name, 1).read_bytes() for store in stores)
            assert one == two


def test_the_index_says_how_the_flow_was_made(pair, tmp_path):
    store = put(tmp_path, {"A/v": pair, "A/one_frame": pair[:1]})
    index = extract_flow(store, workers=0).set_index("video_id")
    row = index.loc["A/v"]
    assert (row.flow_algorithm, row.n_flow, row.status) == ("fast", 1, "ok")
    assert row.cv2_version == cv2.__version__
    assert json.loads(row.flow_parameters) == TVL1
    assert index.loc["A/one_frame"].n_flow == 0
    assert index.loc["A/one_frame"].status == "ok"


def written(store):
    return {p.parent.name: p.stat().st_mtime_ns for p in store.root.glob("flow/*/*/flow_y_*.jpg")}


def test_resume_makes_what_is_missing(pair, tmp_path):
    store = put(tmp_path, {"A/v1": pair, "A/v2": pair})
    extract_flow(store, workers=0)
    before = written(store)
    index = store.index_path.read_bytes()
    extract_flow(store, workers=0)
    assert written(store) == before
    assert store.index_path.read_bytes() == index
    store.path("flow_y", "A/v2", 1).unlink()
    put(tmp_path, {"A/v3": pair})
    extract_flow(store, workers=0)
    after = written(store)
    assert after["v1"] == before["v1"]
    assert after["v2"] != before["v2"]
    assert sorted(after) == ["v1", "v2", "v3"]


@pytest.mark.parametrize(
    "changes", [{"bound": 15.0}, {"quantize": "minmax"}, {"engine": "dis"}, {"engine": "opencv"}]
)
def test_flow_made_in_another_way_is_made_again(pair, tmp_path, changes):
    store = put(tmp_path, {"A/v": pair})
    extract_flow(store, workers=0)
    before = written(store)
    settings = FlowSettings(**changes)
    extract_flow(store, settings, workers=0)
    row = store.rows()["A/v"]
    assert written(store) != before
    assert (row.flow_algorithm, row.flow_parameters) == (settings.engine, settings.parameters())
    before = written(store)
    extract_flow(store, settings, workers=0)
    assert written(store) == before


def test_flow_of_another_opencv_is_made_again_by_opencv_only(pair, tmp_path, monkeypatch):
    store = put(tmp_path, {"A/v": pair})
    for engine, again in (("fast", False), ("opencv", True)):
        extract_flow(store, FlowSettings(engine=engine), workers=0)
        before = written(store)
        with monkeypatch.context() as patch:
            patch.setattr(cv2, "__version__", "4.9.9")
            extract_flow(store, FlowSettings(engine=engine), workers=0)
        assert (written(store) != before) == again


def test_a_missing_frame_fails_its_video_only_and_can_be_mended(pair, tmp_path):
    store = put(tmp_path, {"A/bad": [*pair, pair[0]], "B/good": pair})
    path = store.path("frame", "A/bad", 3)
    content = path.read_bytes()
    path.unlink()
    rows = extract_flow(store, workers=0).set_index("video_id")
    assert rows.status.to_dict() == {"A/bad": "failed", "B/good": "ok"}
    assert rows.message["A/bad"] == (
        f"flow of A/bad: {path} is missing or no whole JPG. `vidrec audit --repair` extracts it "
        "again."
    )
    assert rows.n_flow.to_dict() == {"A/bad": 0, "B/good": 1}
    assert list((tmp_path / "flow/A").iterdir()) == []
    path.write_bytes(content[:-300])  # truncated: OpenCV alone would decode it
    assert extract_flow(store, workers=0).status[0] == "failed"
    path.write_bytes(content)
    row = extract_flow(store, workers=0).iloc[0]
    assert (row.video_id, row.status, row.message, row.n_flow) == ("A/bad", "ok", "", 2)


def test_frames_of_two_sizes_fail_and_partial_stays_partial(pair, tmp_path):
    store = put(tmp_path, {"A/v": [pair[0], pair[1][:-8]], "B/cut": pair})
    row = store.rows()["B/cut"]
    row.status, row.message = "partial", "2 frames decoded of 9"
    store.append(row)
    rows = extract_flow(store, workers=0).set_index("video_id")
    assert rows.status.to_dict() == {"A/v": "failed", "B/cut": "partial"}
    assert "flow of A/v: `previous` and `following` must be uint8 gray" in rows.message["A/v"]
    assert rows.message["B/cut"] == "2 frames decoded of 9"
    assert rows.n_flow["B/cut"] == 1


def test_no_index(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no index at .* Extract the frames first"):
        extract_flow(Store(tmp_path), workers=0)


def test_sets_of_other_tools_are_not_written_to(pair, tmp_path):
    """There flow lies among the frames: a new folder of flow would take their place."""
    store = Store(tmp_path, "tsn")
    path = store.path("frame", "v", 1)
    path.parent.mkdir()
    path.write_bytes(encode_jpeg(pair[0]))
    store.append(Row(video_id="v", label="A", n_frames=2))
    with pytest.raises(ValueError, match="in the layout 'vidrec'; .* Received: layout='tsn'"):
        extract_flow(store, workers=0)
    assert path.exists()
