"""What is on a preview: read from the figure, and held against the batches and the JPGs."""

import itertools
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.experiment.conftest import FLOW, STAGE, assert_nothing_overlaps, experiment, texts
from vidrec import cli, config
from vidrec.experiment import clips as module
from vidrec.experiment import videos
from vidrec.experiment.preview import preview
from vidrec.experiment.splits import split_videos
from vidrec.extraction.colour_wheel import flow_colours
from vidrec.extraction.engines import FlowSettings
from vidrec.store import Store


def examples(plan, stream, *, epoch=0, test=False):
    """(images, label, facts) of each clip in the batches that training or evaluation reads."""
    split, classes = split_videos(plan)
    (modality,) = config.STREAMS[stream]
    side, clip = split.test if test else split.train, plan.clip_spec(stream)
    source = module.clip_source(plan, side, classes, clip)
    options = {"number": 0, "first_epoch": epoch, "facts": True}
    batches = (
        module.evaluation_batches(plan, source)
        if test
        else module.training_batches(plan, source, plan.streams[stream].stages[0], **options)
    )
    for images, labels, facts in batches.as_numpy_iterator():
        for i, label in enumerate(labels):
            told = {name: fact[i] for name, fact in facts.items()}
            yield images[modality][i], f"{classes[label]} label {label}", told


def mean_flow(codes, bound=20):
    """uint8 (..., 2L) to px (..., 2), a pair at a time."""
    px = np.where(codes == 128, 0, codes * (2 * bound / 255) - bound)
    return sum(px[..., i : i + 2] for i in range(0, codes.shape[-1], 2)) / (codes.shape[-1] / 2)


def assert_colours(shown, fields, largest):
    """The pictures are those of these flow fields; some are rounded otherwise."""
    expected = [flow_colours(field, largest=largest) for field in fields]
    assert np.abs(np.array(shown, int) - expected).max() <= 1


def pictures(figure):
    """(caption, uint8 (H, W, 3)) of each picture below the header, in reading order."""
    captions = [text for text in texts(figure) if re.match(r"(frame|pairs?) \d", text)]
    images = [np.asarray(image.get_array()) for image in figure.axes[0].images]
    return list(zip(captions, images[len(images) - len(captions) :], strict=True))


def words(figure):
    """All text, the lines joined; long names are in two."""
    return " ".join(texts(figure)).replace("/ ", "/")


def test_rows_are_the_clips_of_both_streams(root, tmp_path, saved_figures):
    plan, count = experiment(root), 7
    preview(plan, tmp_path / "p.png", clips=count, epoch=2)
    (figure,) = saved_figures
    assert_nothing_overlaps(figure)
    rows = [
        list(itertools.islice(examples(plan, stream, epoch=2), count))
        for stream in ("spatial", "temporal")
    ]
    flow = np.array([mean_flow(codes) for codes, *_ in rows[1]])
    largest = max(1.0, np.percentile(np.hypot(flow[..., 0], flow[..., 1]), 99))
    said, found = words(figure), pictures(figure)
    assert "tiny: what training sees" in said
    assert f"rim: {largest:.1f} px" in said
    for stream in ("Spatial", "Temporal"):
        note = 'stream: the first 7 of 8 clips of epoch 2 of stage "head", in batches of 4.'
        assert f"{stream} {note}" in said
    assert "Seed 0, images of 72x72 px." in said
    assert "Colours are the mean of the 2 flow pairs of a time step, in px of the ext" in said
    assert len(found) == 2 * 3 * count
    assert len({image.tobytes() for _, image in found}) > 5 * count  # pictures that tell apart
    for i, ((images, label, told), (_, _, also)) in enumerate(zip(*rows, strict=True)):
        video_id = told["video_id"].decode()
        name, number = label.split(" ", 1)
        assert f"{name} {video_id} {number}, clip {i + 1} spatial stream" in said
        assert also["video_id"].decode() == video_id  # of equal stages
        cells = found[6 * i : 6 * i + 6]
        assert [caption for caption, _ in cells] == [
            *(f"frame {frame + 1}" for frame in told["frames"]),
            *(f"pairs {pairs[0] + 1}-{pairs[1] + 1}" for pairs in also["pairs"]),
        ]
        np.testing.assert_array_equal([image for _, image in cells[:3]], images)
        assert_colours([image for _, image in cells[3:]], flow[i], largest)
    assert said.count("temporal stream") == count


def test_a_test_is_of_the_files_that_it_names(root, tmp_path, saved_figures):
    plan = experiment(root, evaluation={"short_side": 72})  # the images as they are
    preview(plan, tmp_path / "p.png", clips=9, test=True)
    said = words(saved_figures[0])
    assert "tiny: what evaluation sees" in said
    assert 'Temporal stream: the first 9 of 9 test videos, sampling "random", draw 1 of 2.' in said
    found, shown, fields = iter(pictures(saved_figures[0])), [], []

    def read(kind, number):
        jpg = tf.io.read_file(str(Store(plan.data.root).path(kind, video_id, number)))
        return tf.io.decode_jpeg(jpg, dct_method="INTEGER_ACCURATE").numpy()

    for i, (*_, told) in enumerate(examples(plan, "spatial", test=True), 1):
        video_id = told["video_id"].decode()
        assert re.search(rf"{video_id} label \d, clip {i} spatial", said)
        for frame in told["frames"]:
            caption, image = next(found)
            assert caption == f"frame {frame + 1}"
            np.testing.assert_array_equal(image, read("frame", frame + 1))
        for frame in told["frames"]:
            caption, image = next(found)
            assert caption == f"pairs {frame + 1}-{frame + 2}"
            numbers = itertools.product((frame + 1, frame + 2), ("flow_x", "flow_y"))
            codes = [read(kind, number) for number, kind in numbers]
            fields.append(mean_flow(np.concatenate(codes, axis=-1)))
            shown.append(image)
    assert i == 9
    assert next(found, None) is None
    largest = max(1.0, np.percentile(np.hypot(*np.moveaxis(fields, 3, 0)), 99))
    assert_colours(shown, fields, largest)


def test_streams_whose_stages_differ_have_rows_of_their_own(root, tmp_path, saved_figures):
    other = STAGE | {"batch_size": 3, "name": "other"}
    streams = {"spatial": {"stages": [STAGE, other]}, "temporal": {"stages": [other]}}
    plan = experiment(root, streams=streams, shuffle_order="repeat_first")
    preview(plan, tmp_path / "p.png", clips=4, epoch=1)
    said = words(saved_figures[0])
    assert 'Spatial stream: the first 4 of 8 clips of epoch 1 of stage "head", in' in said
    assert 'Temporal stream: the first 4 of 9 clips of epoch 1 of stage "other", in' in said
    found = re.findall(r"(\w+/\w+) label (\d), clip (\d) (\w+) stream", said)
    expected = {
        (told["video_id"].decode(), label[-1], str(i), stream)
        for stream in streams
        for i, (_, label, told) in zip(range(1, 5), examples(plan, stream, epoch=1), strict=False)
    }
    assert len(found) > 4  # where they meet by chance, the name is there once
    assert set(found) <= expected
    assert {row for row in expected if row[3] == "spatial"} <= set(found)


def test_a_stream_from_another_run_is_tested_but_not_trained(root, tmp_path, saved_figures):
    streams = {"spatial": {"stages": [STAGE]}, "temporal": {"run": "elsewhere"}}
    plan = experiment(root, streams=streams, evaluation={"sampling": "centre"})
    preview(plan, tmp_path / "p.png", clips=1)
    preview(plan, tmp_path / "p.png", clips=1, test=True, stream="temporal")
    assert 'the first 1 of 9 test videos, sampling "centre". Seed 0' in words(saved_figures[1])
    assert [pictures(figure)[0][0][:5] for figure in saved_figures] == ["frame", "pairs"]
    assert [len(pictures(figure)) for figure in saved_figures] == [3, 3]
    with pytest.raises(ValueError, match=r"that tiny trains: \['spatial'\]. Rec.*'temporal'"):
        preview(plan, tmp_path / "q.png", stream="temporal")


def test_a_joint_stream_has_a_row_for_each_modality(root, tmp_path, saved_figures):
    plan = experiment(root, streams={"joint": {"stages": [STAGE]}}, clip={"segments": 2})
    preview(plan, tmp_path / "p.png", clips=2)
    assert_nothing_overlaps(saved_figures[0])
    lines = [text for text in texts(saved_figures[0]) if text.startswith("joint stream")]
    assert lines == ["joint stream, RGB", "joint stream, flow"] * 2
    kinds = [caption.split()[0] for caption, _ in pictures(saved_figures[0])]
    assert kinds == ["frame", "frame", "pairs", "pairs"] * 2
    two = experiment(root, clip={"segments": 2})  # the same clips, a stream for each modality
    for stream, rows in (("spatial", (0, 2)), ("temporal", (1, 3))):
        clips = itertools.islice(examples(two, stream), 2)
        for row, (images, _, told) in zip(rows, clips, strict=True):
            shown = pictures(saved_figures[0])[2 * row : 2 * row + 2]
            if stream == "temporal":
                assert shown[0][0] == f"pairs {told['pairs'][0, 0] + 1}-{told['pairs'][0, -1] + 1}"
                continue
            for (caption, image), frame, number in zip(shown, images, told["frames"], strict=True):
                assert caption == f"frame {number + 1}"
                np.testing.assert_array_equal(image, frame)


@pytest.mark.filterwarnings("ignore:9 videos are so short")  # of 6 frames, for 12
def test_of_many_time_steps_eight_are_shown(root, tmp_path, saved_figures):
    plan = experiment(root, clip={"segments": 12}, sampling={"policy": "even"})
    preview(plan, tmp_path / "p.png", clips=2, stream="spatial")
    assert_nothing_overlaps(saved_figures[0])
    assert texts(saved_figures[0]).count("8 of 12 time steps") == 2
    assert len(saved_figures[0].axes[0].images) == 16  # without flow there is no wheel
    assert not {"Motion", "or more"} & set(texts(saved_figures[0]))
    assert "Colours" not in words(saved_figures[0])
    found = iter(pictures(saved_figures[0]))
    for images, _, told in itertools.islice(examples(plan, "spatial"), 2):
        for step in (0, 2, 3, 5, 6, 8, 9, 11):
            caption, image = next(found)
            assert caption == f"frame {told['frames'][step] + 1}"
            np.testing.assert_array_equal(image, images[step])
    assert next(found, None) is None


def test_one_time_step_of_one_pair(root, tmp_path, saved_figures):
    plan = experiment(root, clip={"segments": 1, "flow_length": 1})
    preview(plan, tmp_path / "p.png", clips=1)
    assert_nothing_overlaps(saved_figures[0])
    assert "Colours are the flow pair of a time step, in px" in words(saved_figures[0])
    (frame, rgb), (pair, _) = pictures(saved_figures[0])
    assert pair.replace("pair", "frame") == frame
    assert rgb.shape == (72, 72, 3)


def test_stacks_with_gaps_and_repeats_say_so(root, tmp_path, saved_figures):
    gaps = experiment(root, clip={"segments": 1, "flow_length": 2, "flow_step": 4})
    preview(gaps, tmp_path / "p.png", clips=1, stream="temporal")
    assert [caption for caption, _ in pictures(saved_figures[0])] == ["pairs 1-5, step 4"]
    assert "Spatial" not in words(saved_figures[0])
    assert saved_figures[0].axes[0].images[0].get_array().shape == (180, 180, 3)  # the wheel
    short = experiment(root, clip={"flow_length": 7}, data={"short_video": "pad"})
    with pytest.warns(UserWarning, match="9 videos are so short"):
        preview(short, tmp_path / "p.png", clips=1, stream="temporal")
    found = [caption for caption, _ in pictures(saved_figures[1])]
    assert found == ["pairs 1-5, repeated"] * 3
    assert_nothing_overlaps(saved_figures[1])


def test_flow_of_relative_codes_is_not_in_px(root, tmp_path, saved_figures):
    shutil.copytree(root / "store/frames", tmp_path / "store/frames")
    shutil.copy(root / "store/index.csv", tmp_path / "store")
    relative = FLOW | {"quantize": "minmax"}
    videos.extract_flow(Store(tmp_path / "store"), FlowSettings(**relative), workers=0)
    plan = experiment(root, data={"root": str(tmp_path / "store"), "flow": relative})
    preview(plan, tmp_path / "p.png", clips=1, stream="temporal")
    said = words(saved_figures[0])
    assert "of a time step, in half ranges of each flow image." in said
    assert re.search(r"rim: 1\.\d or more", said)
    codes, *_ = next(examples(plan, "temporal"))
    flow = mean_flow(codes, bound=1)
    largest = max(1.0, np.percentile(np.hypot(flow[..., 0], flow[..., 1]), 99))
    assert_colours([image for _, image in pictures(saved_figures[0])], flow, largest)


def test_nothing_is_copied_for_it(root, tmp_path, monkeypatch):
    monkeypatch.delattr("vidrec.pipeline.source.MemoryImages")
    for cache in (str(tmp_path / "pack"), "memory"):
        plan = experiment(root, data={"cache": cache})
        preview(plan, tmp_path / "p.png", clips=1, stream="spatial", test=True)
    assert [path.name for path in tmp_path.iterdir()] == ["p.png"]


@pytest.mark.parametrize("test", [False, True])
def test_an_image_that_cannot_be_read_is_named(root, tmp_path, test):
    shutil.copytree(root / "store", tmp_path / "store")
    plan = experiment(root, data={"root": str(tmp_path / "store")})
    _, _, told = next(examples(plan, "spatial", test=test))
    broken = Store(tmp_path / "store").path(
        "frame", told["video_id"].decode(), int(told["frames"][1]) + 1
    )
    broken.write_bytes(b"JFIF")
    (tmp_path / "p.png").write_text("an older one")
    with pytest.raises(OSError, match=f"{broken} must be a whole JPG, and is not") as caught:
        preview(plan, tmp_path / "p.png", clips=1, test=test)
    assert len(str(caught.value)) < 400
    assert (tmp_path / "p.png").read_text() == "an older one"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clips": 0}, "`clips` must be an integer from 1 to 32. Received: clips=0"),
        ({"clips": 33}, "from 1 to 32. Received: clips=33"),
        ({"clips": 2.0}, "Received: clips=2.0"),
        ({"clips": 9}, "from 1 to 8: the spatial stream has 8 clips of epoch 0 .* clips=9"),
        ({"clips": 10, "test": True}, "from 1 to 9: the spatial stream has 9 test videos, sam"),
        ({"epoch": -1}, "`epoch` must be an integer from 0 to 2, those of the spatial stream's f"),
        ({"epoch": 3, "stream": "temporal"}, "those of the temporal stream's .* epoch=3"),
        ({"epoch": 1, "test": True}, "from 0 to 0: a test has no epochs. Received: epoch=1"),
        ({"stream": "audio"}, r"trains: \['spatial', 'temporal'\]. Received: stream='audio'"),
    ],
)
def test_options_out_of_range_are_refused(root, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        preview(experiment(root), tmp_path / "p.png", **options)
    assert list(tmp_path.iterdir()) == []


def test_the_command_line(root, tmp_path, monkeypatch, capsys, saved_figures):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text(config.dump(experiment(root)))
    command = ["data", "preview", "my.yaml"]
    assert cli.main(command) == 0
    assert capsys.readouterr().out == "tiny_preview.png\n"
    options = ["--stream", "spatial", "--clips", "2", "--epoch", "1", "--seed", "5"]
    assert cli.main([*command, *options, "--out", "out/own.png"]) == 0
    default, own = saved_figures
    assert [len(pictures(figure)) for figure in saved_figures] == [24, 6]
    assert "tiny: what training sees" in texts(default)
    assert "the first 2 of 8 clips of epoch 1 of" in words(own)
    assert "Seed 5, images of 72x72 px." in words(own)
    images = [image for _, image in pictures(own)]
    plan = config.load("my.yaml", seed=5)
    expected = [clip for clip, *_ in itertools.islice(examples(plan, "spatial", epoch=1), 2)]
    np.testing.assert_array_equal(images, np.concatenate(expected))
    assert (tmp_path / "out/own.png").read_bytes()[:4] == b"\x89PNG"
    assert cli.main([*command, "--test", "--epoch", "1"]) == 2
    assert "from 0 to 0: a test has no epochs." in capsys.readouterr().err


def test_what_is_not_extracted_yet_is_said(root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(root / "store/frames", tmp_path / "frames/frames")
    (tmp_path / "my.yaml").write_text(config.dump(experiment(root)))
    command = ["data", "preview", "my.yaml", "--data"]
    assert cli.main([*command, "nowhere"]) == 2
    assert "There is no index at nowhere/index.csv. Extract the frames" in capsys.readouterr().err
    plan = experiment(root, data={"root": "frames"})
    videos.extract_frames(videos.Source.of(plan), Store("frames"), workers=0)
    capsys.readouterr()
    assert cli.main([*command, "frames"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("vidrec data: 9 videos lack flow (N frames need N - 1 pairs); run `vid")
    assert not (tmp_path / "tiny_preview.png").exists()
    assert cli.main([*command, "frames", "--stream", "spatial"]) == 0
