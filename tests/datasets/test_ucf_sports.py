import pytest

from vidrec.datasets.ucf_sports import FOLDERS, IMAGE_SUFFIXES, UCFSports
from vidrec.extraction import source


@pytest.fixture
def root(shared_data, tmp_path):
    """The 150 clips as the archive has them: a folder each, of a video file, or of images."""
    for number, name in enumerate((shared_data / "ucf_sports/clips.txt").read_text().split()):
        clip = tmp_path / "ucf action" / name
        (clip / "gt").mkdir(parents=True)
        (clip / "gt/001.txt").touch()
        for image in ("7-1_70133.jpg", "7-1_70134.jpg"):
            (clip / image).touch()
        if number % 10:
            (clip / "7-1_7013.avi").touch()
    return tmp_path


def test_13_folders_are_10_classes(root):
    table = UCFSports().videos(root)
    assert len(table) == 150
    assert table.label.value_counts().to_dict() == UCFSports.sizes
    assert UCFSports().classes(table=table) == list(UCFSports.sizes)
    assert len(FOLDERS) == 13
    swings = table[table.label == "Golf Swing"].video_id.tolist()
    assert swings[0] == "Golf Swing/Golf-Swing-Back-001"
    assert swings[-1] == "Golf Swing/Golf-Swing-Side-005"
    images = table[~table.path.str.endswith(".avi")]
    assert len(images) == 15
    assert all(
        path.split("/")[-3:-1] == ["ucf action", path.split("/")[-2]] for path in images.path
    )
    assert IMAGE_SUFFIXES == source.IMAGE_SUFFIXES  # what extraction reads


def test_protocols(root):
    dataset = UCFSports()
    split = dataset.splits(root, "leave-one-out-150")
    assert (len(split.train), split.test.video_id.tolist()) == (149, ["Walking/Walk-Front-022"])
    split = dataset.splits(root, "random-7:3", seed=0)
    assert (split.found, split.expected) == (150, 150)
    assert split.test.label.value_counts()["Lifting"] == 2  # 1.8


def test_other_layouts(root, tmp_path):
    inner = root / "ucf action/Lifting"
    assert len(UCFSports().videos(inner)) == 6  # root may be one of the folders itself
    (inner / "extra.mov").touch()
    assert "Lifting/Lifting-extra" in set(UCFSports().videos(inner).video_id)
    (root / "ucf action/Lifting").rename(root / "ucf action/lifting")
    assert UCFSports().videos(root).label.value_counts()["Lifting"] == 7


def test_images_in_a_folder_of_their_own(root):
    clip = root / "ucf action/Run-Side/004"
    (clip / "7-1_7013.avi").unlink(missing_ok=True)
    (clip / "jpeg").mkdir()
    for path in clip.glob("*.jpg"):
        path.rename(clip / "jpeg" / path.name)
    table = UCFSports().videos(root).set_index("video_id")
    assert table.path["Running/Run-Side-004"] == str(clip / "jpeg")


def test_what_is_not_there(root, tmp_path, caplog):
    clip = root / "ucf action/Run-Side/004"
    (clip / "second.avi").touch()
    assert len(UCFSports().videos(root)) == 150
    assert f"{clip} has 2 video files; the first is taken" in caplog.messages
    for name in ("Run-Side/004", "Lifting/002"):
        for path in (root / "ucf action" / name).glob("*.*"):
            path.unlink()
    with pytest.raises(
        ValueError, match=r"Received: 2 that do not, the first: .*Lifting/002', .*004"
    ):
        UCFSports().videos(root)
    (tmp_path / "void").mkdir()
    with pytest.raises(FileNotFoundError, match="must hold the folders of UCF Sports, Diving-Side"):
        UCFSports().videos(tmp_path / "void")
