"""What is opened, and what is not: one local file, no network, no second file."""

import re
import shutil
import socket

import cv2
import numpy as np
import pytest

from vidrec.extraction.frames import (
    VideoError,
    encode_jpeg,
    open_video,
    promised_frames,
    read_frames,
)


def test_promised_frames_and_reading_again(video):
    assert promised_frames(video) == (40, 12.0)
    assert len(list(read_frames(video))) == len(list(read_frames(str(video)))) == 40


@pytest.mark.parametrize(
    "name", ["http://127.0.0.1:9/clip.avi", "concat:a.avi|b.avi", "file:a.avi", "a.avi\0", "."]
)
def test_names_that_are_no_local_file_are_refused(video, tmp_path, monkeypatch, name):
    for copy in ("a.avi", "b.avi"):
        shutil.copy(video, tmp_path / copy)
    monkeypatch.chdir(tmp_path)
    text = re.escape(f"{name.replace('//', '/')} is not a file. Give the path of a video file on")
    with pytest.raises(VideoError, match=text):
        open_video(name)


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
