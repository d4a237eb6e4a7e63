"""Images to the bytes of JPG files and back, where a file that is not whole is an error."""

import cv2
import numpy as np

QUALITY = 95


def encode_jpeg(image, *, quality=QUALITY):
    """uint8 (H, W) gray or (H, W, 3) BGR to the bytes of a JPG file."""
    ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"`image` cannot be encoded as JPG. Received: shape={image.shape}")
    return data.tobytes()


def read_jpeg(path):
    """The bytes of a JPG file.

    Raises:
        OSError: if it is missing, or does not end as a JPG does.
    """
    data = path.read_bytes() if path.is_file() else b""
    if not data.endswith(b"\xff\xd9"):  # OpenCV would decode a truncated JPG without a word
        raise OSError(
            f"{path} is missing or no whole JPG. `vidrec audit --repair` extracts it again."
        )
    return data


def decode_gray(data):
    """The bytes of a JPG file to uint8 (H, W).

    Raises:
        ValueError: if they are no JPG.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise ValueError(f"`data` must be a JPG. Received: {len(data)} bytes, {data[:8]!r}...")
    return image
