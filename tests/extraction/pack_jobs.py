"""Packs or unpacks and dies by SIGKILL at one moment after the other; run by test_pack.py.

    python pack_jobs.py pack <store> <folder> <file_bytes>
    python pack_jobs.py unpack <pack> <folder> -

Every rename and every 40th write of a record is two moments, before and after. For moment n a
process works in <folder>/<n> until it is killed there. The last one of them ends well.
"""

import itertools
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import tensorflow as tf  # noqa: E402

from vidrec.extraction.pack import pack  # noqa: E402
from vidrec.extraction.unpack import unpack  # noqa: E402
from vidrec.store import Store  # noqa: E402

STEPS = {"pack": 5, "unpack": 11}  # not every moment: each costs a process
RECORDS = 40


def main(verb, source, folder, file_bytes):
    moment = 1
    while True:
        child = os.fork()  # TensorFlow has started no thread yet
        if child == 0:
            sys.stderr = open(os.devnull, "w")  # noqa: SIM115
            die_at(moment)
            if verb == "pack":
                pack(Store(source), Path(folder, str(moment)), file_bytes=int(file_bytes))
            else:
                unpack(source, Path(folder, str(moment)))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            return
        assert os.WTERMSIG(status) == signal.SIGKILL
        moment += STEPS[verb]


def die_at(moment):
    passed = 0

    def tick():
        nonlocal passed
        passed += 1
        if passed == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(function, every):
        calls = itertools.count(1)

        def call(*args):
            moments = next(calls) % every == 0
            if moments:
                tick()
            function(*args)
            if moments:
                tick()

        return call

    os.replace = watched(os.replace, 1)
    tf.io.TFRecordWriter.write = watched(tf.io.TFRecordWriter.write, RECORDS)


main(*sys.argv[1:])
