"""What a package says of itself, as a line of JSON: `python probes.py opencv`.

A script, run by `process.py` in a process of its own: the import of a broken package may crash,
hang or print. Nothing of vidrec is needed here.
"""

import json
import sys


def opencv():
    """version; file; tvl1: null, or why it does not work; ffmpeg: bool."""
    import cv2
    import numpy as np

    tvl1, still = None, np.zeros((32, 32), np.uint8)
    try:
        cv2.optflow.DualTVL1OpticalFlow_create().calc(still, still, None)
    except Exception as error:
        tvl1 = f"{type(error).__name__}: {error}"
    ffmpeg = cv2.videoio_registry.hasBackend(cv2.CAP_FFMPEG)
    return {"version": cv2.__version__, "file": cv2.__file__, "tvl1": tvl1, "ffmpeg": ffmpeg}


def numba(source):
    """version; cache: where the machine code of functions in the file `source` is kept, or null."""
    import numba

    found = {}
    exec(compile("def function(): pass", source, "exec"), found)  # as if it stood in that file
    try:
        cache = numba.njit(cache=True)(found["function"]).stats.cache_path
    except RuntimeError:  # numba finds no folder that it can write to
        cache = None
    return {"version": numba.__version__, "cache": cache}


def tensorflow():
    """version; cuda: whether it is built for it; gpus: the names of those it sees."""
    import tensorflow as tf

    details = tf.config.experimental.get_device_details
    gpus = tf.config.list_physical_devices("GPU")
    names = [details(gpu).get("device_name", gpu.name) for gpu in gpus]
    return {"version": tf.__version__, "cuda": tf.test.is_built_with_cuda(), "gpus": names}


if __name__ == "__main__":
    try:
        facts = {"opencv": opencv, "numba": numba, "tensorflow": tensorflow}[sys.argv[1]](
            *sys.argv[2:]
        )
    except BaseException as error:  # whatever it is, it is what is to be told
        facts = {"error": f"{type(error).__name__}: {error}"}
    print(f"\n{json.dumps(facts)}", flush=True)
