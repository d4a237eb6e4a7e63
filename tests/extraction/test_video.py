"""What is opened, and what is not: one local file, no network, no second file."""

import os
import re
import shutil
import socket

import cv2
import numpy as np
import pytest

from vidrec.extraction.jpeg import encode_jpeg
from vidrec.extraction.video import VideoError, open_video, promised_frames, read_frames


def test_promised_frames_and_reading_again(video):
    assert promised_frames(video) == (40, 12.0)
    assert len(list(read_frames(video))) == len(list(read_frames(str(video)))) == 40


@pytest.mark.parametrize("name", [".", "a.avi/", "nowhere.avi", "nowhere/50%.avi", ""])
def test_what_is_no_file_is_refused(tmp_path, monkeypatch, name):
    (tmp_path / "a.avi").mkdir()
    monkeypatch.chdir(tmp_path)
    text = re.escape(f"{name.rstrip('/') or '.'} is not a file. Give the path of a video file on")
    with pytest.raises(VideoError, match=text):
        open_video(name)


@pytest.mark.parametrize(
    "name",
    [
        "http://127.0.0.1:9/clip.avi",
        "concat:a.avi|b.avi",
        "file:a.avi",
        "file:///etc/hostname",
        "pipe:0",
        "subfile,,start,0,end,0,,:a.avi",
        "crypto+http://x",
    ],
)
def test_a_protocol_is_refused_by_name(video, tmp_path, monkeypatch, name):
    for copy in ("a.avi", "b.avi"):
        shutil.copy(video, tmp_path / copy)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VideoError, match=re.escape(f"{name} is a URL / protocol, give a path:")):
        open_video(name)


@pytest.mark.parametrize("name", ["img_%02d.jpg", "img_%2d.jpg", "img_%d.jpg", "img_%*.jpg"])
def test_an_image_sequence_is_refused_by_name(video, tmp_path, name):
    for i in (1, 2, 3):
        cv2.imwrite(str(tmp_path / f"img_{i:02d}.jpg"), np.full((48, 48, 3), 60 * i, np.uint8))
    folder, link = tmp_path / "clips_%03d", tmp_path / "link.jpg"
    folder.mkdir()
    link.symlink_to(tmp_path / name)
    for path in (tmp_path / name, folder / "clip.avi", link):
        text = re.escape(str(path if path != link else tmp_path / name))
        text += " has a pattern of numbers .* a sequence of images, and not this file. Rename it"
        with pytest.raises(VideoError, match=text):  # with nothing of that name there
            open_video(path)
        if path != link:
            shutil.copy(video, path)  # nor is it read where there is, which FFmpeg does not see
        with pytest.raises(VideoError, match=text):
            open_video(path)


@pytest.mark.parametrize("name", ["50%.avi", "50% of_d.avi", "a?b=1#c&d;e.avi", "v été -i.avi"])
def test_other_names_are_only_names(video, tmp_path, name):
    shutil.copy(video, tmp_path / name)
    assert len(list(read_frames(tmp_path / name))) == 40


def test_names_that_no_c_library_can_take(video, tmp_path):
    for name in ("a.avi\0", "\0", f"{video}\0.txt"):
        text = re.escape(f"must not hold a NUL byte. Received: {name!r}. Give the path of a video")
        with pytest.raises(VideoError, match=text):
            open_video(name)
    name = os.fsdecode(b"latin1_\xe9.avi")
    shutil.copy(video, tmp_path / name)
    with pytest.raises(VideoError, match=r"must be UTF-8 text. Received: .*latin1_\\udce9.avi'"):
        open_video(tmp_path / name)  # OpenCV would crash


def test_pipes_and_devices_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.avi")
    (tmp_path / "link.avi").symlink_to("pipe.avi")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.avi"))
        for path in ("pipe.avi", "link.avi", "socket.avi", "/dev/zero"):
            with pytest.raises(VideoError, match=f"{path} is not a regular file .a pipe, socket "):
                open_video(tmp_path / path)  # and a pipe that nobody writes to does not block


def test_a_file_named_like_a_protocol_is_only_a_file(video, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.avi", "b.avi"):
        shutil.copy(video, name)
    (tmp_path / "concat:a.avi|b.avi").write_text("not a video")
    with pytest.raises(VideoError, match="is not a video that OpenCV's FFmpeg can read"):
        open_video("concat:a.avi|b.avi")
    shutil.copy(video, "concat:a.avi|b.avi")
    assert len(list(read_frames("concat:a.avi|b.avi"))) == 40  # not the 80 of both


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{url}'\n",
        "ffconcat version 1.0\nfile '{outside}'\n",
    ],
)
@pytest.mark.parametrize("suffix", [".avi", ".m3u8"])
def test_a_playlist_in_a_file_opens_no_network_and_no_other_folder(
    video, tmp_path, playlist, suffix
):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/clip.avi"
        path = tmp_path / f"list{suffix}"
        path.write_text(playlist.format(url=url, outside=video))
        with pytest.raises(VideoError, match="not a video that|no frame that can be decoded"):
            list(read_frames(path))
        with pytest.raises(TimeoutError):
            server.accept()


def test_encode_jpeg_keeps_gray_and_colour_and_quality():
    noise = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), 3)
    for source in (image, image[..., 1]):
        data = encode_jpeg(source)
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert decoded.shape == source.shape
        assert np.abs(decoded.astype(int) - source).mean() < 2
        assert len(encode_jpeg(source, quality=30)) < len(data)
