"""What is on a contact sheet: read from the figure, and from the PNG itself."""

import re

import cv2
import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from tests.experiment.conftest import assert_nothing_overlaps, texts
from vidrec.experiment import look as module
from vidrec.experiment import sheet_page
from vidrec.experiment.contact_sheet import choose, contact_sheet
from vidrec.experiment.look import look_at, spread
from vidrec.extraction.colour_wheel import flow_colours
from vidrec.extraction.engines import FlowSettings

QUICK = {"settings": FlowSettings(engine="farneback"), "workers": 0}
GREEN = np.array([0, 90, 0])  # RGB; flow is never dark


def write(path, count, width=64, height=48, step=(2, 0), planted=()):
    """A smooth texture that moves by `step` px a frame; frames `planted` are dark green."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = cv2.VideoWriter_fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), codec, 25.0, (width, height))
    rng = np.random.default_rng(len(path.name))
    noise = rng.integers(0, 256, (height + 200, width + 200, 3), np.uint8)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 20, 255, cv2.NORM_MINMAX)
    for i in range(count):
        top, left = 100 - step[1] * i, 100 - step[0] * i
        frame = texture[top : top + height, left : left + width]
        frame = np.full_like(frame, GREEN[::-1]) if i in planted else np.ascontiguousarray(frame)
        writer.write(frame)
    writer.release()
    return path


def table_of(paths):
    records = [(f"{p.parent.name}/{p.stem}", str(p), p.parent.name, "") for p in paths]
    return pd.DataFrame(records, columns=["video_id", "path", "label", "group"], dtype=str)


def names_of(labels):
    """A table of videos that are nowhere; labels: dict of str to how many."""
    ids = [f"{label}/v{i}" for label, count in labels.items() for i in range(count)]
    table = pd.DataFrame({"video_id": ids, "path": ids})
    return table.assign(label=table.video_id.str.split("/").str[0], group="g01")


def green(path):
    """How many pixels of a PNG are of the planted colour."""
    pixels = np.rint(255 * matplotlib.image.imread(path)[..., :3])
    return int((np.abs(pixels - GREEN).max(axis=-1) < 12).sum())


def test_every_class_comes_before_one_comes_twice():
    table = names_of({"a": 1, "b": 9, "c": 2, "d": 30, "e": 1})
    chosen = {n: choose(table, n, 3) for n in range(1, 50)}
    for n, rows in chosen.items():
        assert len(rows) == min(n, 43)
        assert rows.label.nunique() == min(n, 5)
        assert rows.video_id.tolist() == sorted(rows.video_id)
        counts = rows.label.value_counts()
        open_classes = counts[counts < table.label.value_counts()[counts.index]]
        assert open_classes.empty or counts.max() - open_classes.min() <= 1
        assert n == 1 or set(chosen[n - 1].video_id) <= set(rows.video_id)


def test_the_choice_is_the_seeds_and_no_orders():
    table = names_of({"a": 20, "b": 20, "c": 20})
    choices = [choose(table, 5, seed).video_id.tolist() for seed in range(8)]
    assert len({tuple(choice) for choice in choices}) == 8
    assert len({label for choice in choices for label in {c[0] for c in choice}}) == 3
    mixed = table.sample(frac=1, random_state=0)
    assert [choose(mixed, 5, seed).video_id.tolist() for seed in range(8)] == choices


def test_frames_are_spread_evenly_and_have_a_next_one():
    assert spread(9, 4) == [1, 3, 5, 7]
    assert spread(160, 4) == [19, 59, 99, 139]
    assert spread(10, 1) == [4]
    assert [spread(n, 4) for n in (-1, 0, 1, 3)] == [[], [], [0], [0, 1, 2]]
    for count in range(5, 60):
        found = spread(count, 4)
        assert len(set(found)) == 4
        assert found[0] >= 0
        assert found[-1] + 1 < count
        assert max(np.diff(found)) - min(np.diff(found)) <= 1


def test_a_look_has_the_frames_and_their_flow(tmp_path, monkeypatch):
    path = write(tmp_path / "a.avi", 16, 640, 480, step=(6, -3))
    scaled, scale = [], module._scaled
    monkeypatch.setattr(module, "_scaled", lambda image: scaled.append(1) or scale(image))
    look = look_at("a", str(path), 3, "farneback")
    assert (look.frames, look.promised, look.width, look.height, look.fps) == (16, 16, 640, 480, 25)
    assert [number for number, *_ in look.pictures] == [3, 8, 13]  # from 1
    assert len(scaled) == 6  # no other frame is kept
    images = [cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) for frame in module.read_frames(path)]
    for number, image, flow in look.pictures:
        assert (image.shape, flow.shape, flow.dtype) == ((240, 320, 3), (240, 320, 2), np.float32)
        small = cv2.resize(images[number - 1], (320, 240), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(image, small)
        # In px of the video, not of the picture that is half as large.
        np.testing.assert_allclose(np.median(flow, axis=(0, 1)), [6, -3], atol=0.5)


@pytest.mark.parametrize("promise", [0, 31, 32, 28, 300, -(2**63), 2**62])
def test_wrong_promises_of_a_container_change_nothing(tmp_path, monkeypatch, promise):
    path = str(write(tmp_path / "a.avi", 30))
    right = look_at("a", path, 4, "farneback")
    monkeypatch.setattr(module, "promised_frames", lambda path: (promise, 25.0))
    look = look_at("a", path, 4, "farneback")
    assert (look.frames, look.promised) == (30, promise)
    for found, expected in zip(look.pictures, right.pictures, strict=True):
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_file_that_grows_is_said_to(tmp_path, monkeypatch):
    path = str(write(tmp_path / "a.avi", 9))
    lengths = iter((7, 8))
    whole = list(module.read_frames(path))
    monkeypatch.setattr(module, "read_frames", lambda path: whole[: next(lengths)])
    text = f"{path} has another number of frames each time. Is it still being written?"
    assert look_at("a", path, 4, "farneback") == text


def test_what_is_planted_is_seen(tmp_path, saved_figures):
    first = write(tmp_path / "a/first.avi", 33, planted=[12])  # the second of 4: 4, 12, 20, 28
    other = write(tmp_path / "b/other.avi", 33, planted=[14, 15, 16, 17, 18])
    sheets = [tmp_path / "out" / f"{path.stem}.png" for path in (first, other)]
    for path, sheet in zip((first, other), sheets, strict=True):
        assert contact_sheet(table_of([path]), sheet, title=path.stem, **QUICK) == []
    assert [path.name for path in sorted(sheets[0].parent.iterdir())] == ["first.png", "other.png"]
    # 1.6 inches at 200 dpi, and 3/4 of that
    assert green(sheets[0]) == pytest.approx(320 * 240, rel=0.02)
    assert green(sheets[1]) == 0
    for name in ("frame 13, 0.48 s", "first", "a/first", "33 frames, 64x48 px, 25 fps"):
        assert name in texts(saved_figures[0])
    look = look_at("a", str(first), 4, "farneback")
    _, *pictures = saved_figures[0].axes[0].images  # without the wheel
    lengths = np.concatenate([np.hypot(*flow.reshape(-1, 2).T) for *_, flow in look.pictures])
    largest = np.percentile(lengths, 99)
    assert f"rim: {largest:.1f} px" in texts(saved_figures[0])
    assert f"99 % of motion up to {largest:.1f} px" in texts(saved_figures[0])
    for i, (_, image, flow) in enumerate(look.pictures):
        np.testing.assert_array_equal(pictures[2 * i].get_array(), image)
        colours = flow_colours(flow, largest=largest)
        np.testing.assert_array_equal(pictures[2 * i + 1].get_array(), colours)


def test_a_picture_of_320_px_is_shown_pixel_by_pixel(tmp_path, saved_figures):
    path = write(tmp_path / "a/a.avi", 4, 640, 480)
    contact_sheet(table_of([path]), tmp_path / "s.png", frames=2, title="t", **QUICK)
    png = np.rint(255 * matplotlib.image.imread(tmp_path / "s.png")[..., :3])
    images = saved_figures[0].axes[0].images
    assert len(images) == 5  # the wheel, and two pairs
    cut = round(200 * saved_figures[0].get_figheight()) - len(png)
    assert cut in (0, 1)  # Matplotlib 3.8 makes 594 rows of 594.9999
    for image in images:
        left, right, bottom, top = (round(200 * inches) for inches in image.get_extent())
        inner = slice(2, -2), slice(2, -2)  # within the line around it
        found = png[top - cut : bottom - cut, left:right][inner]
        np.testing.assert_array_equal(found, np.asarray(image.get_array())[inner])


def test_rows_have_one_scale_and_noise_stays_pale(tmp_path, saved_figures):
    fast = write(tmp_path / "a/fast.avi", 12, step=(4, 0))
    still = write(tmp_path / "b/still.avi", 12, step=(0, 0))
    contact_sheet(table_of([fast, still]), tmp_path / "both.png", frames=1, **QUICK)
    contact_sheet(table_of([still]), tmp_path / "still.png", frames=1, **QUICK)
    assert "rim: 1.0 px" in texts(saved_figures[1])
    _, _, moving, _, quiet = (
        np.asarray(image.get_array()) for image in saved_figures[0].axes[0].images
    )
    assert np.abs(np.median(moving, axis=(0, 1)) - [255, 0, 0]).max() < 40  # to the right: red
    assert quiet.min() > 240
    assert saved_figures[1].axes[0].images[2].get_array().min() > 240


def test_the_same_seed_gives_the_same_file(tmp_path):
    paths = [write(tmp_path / f"{label}/v{i}.avi", 9 + i) for label in "ab" for i in range(3)]
    options = {"videos": 2, "frames": 2, **QUICK}
    for name, seed in (("one", 5), ("two", 5), ("three", 6)):
        contact_sheet(table_of(paths), tmp_path / name, seed=seed, **options)
    one, two, three = ((tmp_path / name).read_bytes() for name in ("one", "two", "three"))
    assert one == two != three


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """Videos that are short, small, tall, wide, broken or strangely named."""
    root = tmp_path_factory.mktemp("strange")
    cut = write(root / "broken/cut.avi", 40, 64, 48)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    (root / "broken/empty.avi").write_bytes(b"")
    (root / "broken" / f"text {'long ' * 40}.avi").write_text("no video\n")
    write(root / "one/one.avi", 1)
    write(root / "three/three.avi", 3)
    write(root / "odd/odd.avi", 12, 37, 22)
    write(root / "tiny/tiny.avi", 12, 8, 6)
    write(root / "tall/tall.avi", 12, 180, 320)
    write(root / "wide/wide.avi", 12, 802, 102)
    write(root / "line/line.avi", 12, 1600, 2)
    write(root / f"été 跑步 {'W' * 80}" / f"v_{'name_' * 40}_g01_c01.avi", 12)
    write(root / "$x^2$ $y_1$" / "a$b_{$.avi", 12)
    return table_of(sorted(root.rglob("*.avi")))


def test_a_bad_video_does_not_stop_the_sheet(tmp_path, strange, saved_figures):
    bad = contact_sheet(strange, tmp_path / "sheet.png", videos=20, **QUICK)
    assert [name.split()[0] for name, _ in bad] == ["broken/empty", "broken/text"]
    assert "is empty (0 bytes). Fetch or copy it again." in bad[0][1]
    assert "is not a video that OpenCV's FFmpeg can read." in bad[1][1]
    found = texts(saved_figures[0])
    assert sum(text.startswith("Cannot be read: ") for text in found) == 2
    assert any(text.endswith("Fetch or copy it again.") for text in found)
    assert "40 frames promised: truncated?" in found
    assert found.count("no next frame") == 2
    assert "1 frame, 64x48 px, 25 fps" in found
    assert found.count("group unknown") == len(strange) == 12
    height, width, _ = matplotlib.image.imread(tmp_path / "sheet.png").shape
    assert np.abs(200 * saved_figures[0].get_size_inches() - [width, height]).max() < 1


@pytest.mark.parametrize("frames", [1, 4])
def test_nothing_overlaps(tmp_path, strange, saved_figures, frames):
    title = "A long title " * 30
    contact_sheet(strange, tmp_path / "s.png", videos=20, frames=frames, title=title, **QUICK)
    assert_nothing_overlaps(saved_figures[0])


def test_pictures_keep_their_shape_and_names_their_ends(tmp_path, strange, saved_figures):
    contact_sheet(strange, tmp_path / "s.png", videos=20, frames=1, **QUICK)
    shapes = {}
    for image in saved_figures[0].axes[0].images[1:]:
        x0, x1, y1, y0 = image.get_extent()
        shapes[image.get_array().shape[:2]] = (y1 - y0) / (x1 - x0)
    assert shapes[(320, 180)] == pytest.approx(320 / 180)
    assert shapes[(41, 320)] == pytest.approx(41 / 320)  # of 802x102
    found = texts(saved_figures[0])
    assert any(re.fullmatch(r"v_name_.*….*_g01_c01", text) for text in found)
    assert any(text.startswith("été \\u8dd1") and "…" in text for text in found)
    assert "$x^2$ $y_1$" in found  # and no formula
    assert "$x^2$ $y_1$/a$b_{$" in found


def test_the_longest_usual_facts_fit(tmp_path):
    facts = "18000 frames, 1920x1080 px, 29.97 fps"
    assert sheet_page._short(facts, sheet_page.TEXT - sheet_page.GAP, sheet_page.PLAIN) == facts


def test_an_engine_that_takes_no_small_images(tmp_path, strange):
    table = strange[strange.label == "tiny"]
    options = QUICK | {"settings": FlowSettings(engine="dis")}
    ((name, message),) = contact_sheet(table, tmp_path / "s.png", **options)
    assert name == "tiny/tiny"
    assert message.startswith(f"{table.path.item()}: OpenCV")


def test_processes_draw_the_same(tmp_path, capfd):
    paths = [write(tmp_path / f"{label}/v.avi", 9) for label in "abc"]
    (tmp_path / "d").mkdir()
    (tmp_path / "d/v.avi").write_bytes(b"")
    table = table_of([*paths, tmp_path / "d/v.avi"])
    options = {"frames": 1, "settings": QUICK["settings"]}
    bad = [contact_sheet(table, tmp_path / str(n), workers=n, **options) for n in (0, 2)]
    assert bad[0] == bad[1] == [("d/v", f"{tmp_path / 'd/v.avi'} is empty (0 bytes). Fetch or "
                                 "copy it again.")]  # fmt: skip
    assert (tmp_path / "0").read_bytes() == (tmp_path / "2").read_bytes()
    assert "sheet: 4 of 4 videos" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"videos": 0}, "`videos` must be an integer from 1 to 120. Received: videos=0"),
        ({"videos": 121}, "Received: videos=121"),
        ({"frames": 2.0}, "`frames` must be an integer from 1 to 10. Received: frames=2.0"),
        ({"seed": -1}, "`seed` must be an integer from 0 to .* Received: seed=-1"),
        ({"seed": None}, "Received: seed=None"),
    ],
)
def test_options_out_of_range_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        contact_sheet(names_of({"a": 2}), tmp_path / "s.png", **options)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_video_table_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`table` must have the columns .* no column \['group'\]"):
        contact_sheet(names_of({"a": 2}).drop(columns="group"), tmp_path / "s.png")


def test_real_clips_by_the_default_engine(tmp_path, shared_data, saved_figures):
    paths = sorted((shared_data / "weizmann4").glob("*/*.avi"))
    if not paths:
        pytest.skip(f"needs weizmann4 in {shared_data}")
    assert contact_sheet(table_of(paths), tmp_path / "s.png", videos=4, frames=2, workers=0) == []
    found = texts(saved_figures[0])
    assert {"bend", "jack", "wave1", "wave2"} <= set(found)
    assert 'by the engine "fast"' in " ".join(found)
    assert len(saved_figures[0].axes[0].images) == 1 + 4 * 2 * 2
