"""Fixtures of all tests."""

import ctypes
import gc
import os
import signal
import sys
from pathlib import Path

import pytest

import vidrec

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # the numbers in the tests are a CPU's

# A test run in the background is told to ignore ctrl-C, and would hand that down to what it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

PROJECT = Path(__file__).resolve().parent.parent
PACKAGE = Path(vidrec.__file__).parent  # of an installed wheel, if that is what is tested


@pytest.fixture(scope="session")
def shared_data():
    """Folder of real clips and official lists; tests that need it are skipped without it."""
    folder = Path(os.environ.get("VIDREC_TEST_DATA", PROJECT / "../shared/data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"needs real clips: VIDREC_TEST_DATA, or {folder}, is not there")
    return folder


@pytest.fixture
def saved_figures(monkeypatch):
    """The figures that were written, kept so that what is on them can be read."""
    from matplotlib.figure import Figure

    figures = []
    save = Figure.savefig

    def keep(figure, *args, **kwargs):
        figures.append(figure)
        return save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def pytest_collection_modifyitems(items):
    """The notebooks first, which take longest: of two workers none is left alone with them."""
    items.sort(key=lambda item: item.path.name != "test_notebooks.py")


@pytest.fixture(autouse=True)
def memory_is_given_back(request):
    """After a slow test: networks and their graphs refer to themselves, and stay until Python looks
    for such; what is free then stays with the C library. A process had up to 7 GB of it."""
    yield
    if request.node.get_closest_marker("slow"):
        gc.collect()
        if sys.platform == "linux":
            getattr(ctypes.CDLL(None), "malloc_trim", int)(0)  # glibc's
