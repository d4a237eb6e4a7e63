"""What a first version of a loader looks like: one Python call a batch, OpenCV, whole images."""

import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import keras
import numpy as np


class PlainLoader(keras.utils.PyDataset):
    """Training clips of random frames, cropped, resized, flipped and brightened as the paper says.

    Args:
        source: ClipSource of loose files.
        batch_size: int.
    """

    def __init__(self, source, batch_size):
        super().__init__(workers=os.cpu_count())
        self.source, self.videos = source, list(source.table.itertuples())
        self.batch_size = batch_size

    def __len__(self):
        return 10**9

    def __getitem__(self, number):
        rng = np.random.default_rng(number)
        videos = [self.videos[i] for i in rng.integers(len(self.videos), size=self.batch_size)]
        clips = [self._clip(video, rng) for video in videos]
        return {name: np.stack([clip[name] for clip in clips]) for name in clips[0]}

    def _clip(self, video, rng):
        clip, store = self.source.clip, self.source.store
        frames = np.sort(
            rng.integers(max(1, video.n_frames - clip.flow_span - 1), size=clip.frames)
        )
        stacks = {}
        if "rgb" in clip.modalities:
            paths = [store.path("frame", video.video_id, i + 1) for i in frames]
            images = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths]
            stacks["rgb"] = np.stack(images)
        if "flow" in clip.modalities:
            stacks["flow"] = np.stack([self._flow(video, i) for i in frames])
        first = next(iter(stacks.values()))
        side = int(rng.uniform(0.66, 1) * min(first.shape[1:3]))
        top, left = (int(rng.integers(room - side + 1)) for room in first.shape[1:3])
        flips, brighter = rng.random(2) < 0.5, 255 * rng.uniform(-0.2, 0.2)
        for name, images in stacks.items():
            images = images[:, top : top + side, left : left + side]
            images = np.stack([self._resize(image) for image in images])
            for axis, component in ((2, 0), (1, 1)):
                if flips[component]:
                    images = np.flip(images, axis).copy()
                    if name == "flow":
                        images[..., component::2] = 255 - images[..., component::2]
            if name == "rgb":
                images = np.clip(np.rint(images + np.float32(brighter)), 0, 255).astype(np.uint8)
            stacks[name] = images
        return stacks

    def _flow(self, video, first):
        pairs = range(first + 1, first + 1 + self.source.clip.flow_length)
        paths = [
            self.source.store.path(f"flow_{c}", video.video_id, i) for i in pairs for c in "xy"
        ]
        return np.stack([cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths], axis=-1)

    @staticmethod
    def _resize(image):
        """OpenCV resizes at most four channels at a time."""
        parts = [image[..., i : i + 4] for i in range(0, image.shape[-1], 4)]
        return np.concatenate(
            [cv2.resize(part, (224, 224)).reshape(224, 224, -1) for part in parts], -1
        )

    def __iter__(self):
        """Its batches, fetched ahead by threads as Keras' `workers` does."""
        pool, ahead = ThreadPoolExecutor(os.cpu_count()), []
        try:
            for number in range(10**9):
                while len(ahead) < 2 * os.cpu_count():
                    ahead.append(pool.submit(self.__getitem__, number + len(ahead)))
                yield ahead.pop(0).result()
        finally:
            pool.shutdown(cancel_futures=True)
