import math
import operator
import os
import time

import pytest

from vidrec.extraction import pool

JOBS = [(base, power) for base in (2.0, 3.0, 5.0) for power in (1, 2, 3)]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_result_comes_once(workers):
    results = list(pool.run(math.pow, JOBS, workers=workers, title="powers"))
    assert sorted(results) == [2, 3, 4, 5, 8, 9, 25, 27, 125]


def test_one_worker_keeps_the_order_and_stays_in_this_process():
    given = [{}, {}, {}]
    jobs = [(one, "pid", i) for i, one in enumerate(given)]
    list(pool.run(operator.setitem, jobs, workers=1, title="marks"))
    assert given == [{"pid": 0}, {"pid": 1}, {"pid": 2}]


def test_two_workers_are_other_processes():
    given = [{}, {}]
    jobs = [(one, "pid", i) for i, one in enumerate(given)]
    assert list(pool.run(operator.setitem, jobs, workers=2, title="marks")) == [None, None]
    assert given == [{}, {}]


def test_results_come_as_they_end_not_in_the_order_of_jobs():
    results = pool.run(time.sleep, [(1.5,), (0.0,)], workers=2, title="naps")
    next(results)
    first = time.monotonic()
    next(results)
    assert time.monotonic() - first > 0.2  # the nap of the first job was still going on


def test_none_is_one_worker_a_core(monkeypatch):
    monkeypatch.setattr(pool.os, "cpu_count", lambda: 1)
    assert list(pool.run(lambda x: 2 * x, [(3,), (4,)], title="here")) == [6, 8]


def test_no_job_is_no_process():
    assert list(pool.run(os._exit, [], workers=4, title="nothing")) == []


def test_a_dying_worker_says_what_to_type():
    text = (
        r"^A worker process died while extracting flow \(killed for memory, or by a damaged "
        r"file\). What was done is kept: run the same command again to go on, with --workers 1 "
        r"to see which video it is\.$"
    )
    with pytest.raises(RuntimeError, match=text):
        list(pool.run(os._exit, [(3,), (3,)], workers=2, title="flow"))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_function_comes_through(workers):
    with pytest.raises(ValueError, match="math domain error|nonnegative"):
        list(pool.run(math.sqrt, [(4.0,), (-1.0,)], workers=workers, title="roots"))


@pytest.mark.parametrize("workers", [0, -2])
def test_no_worker_is_refused(workers):
    text = f"`workers` must be at least 1. Received: workers={workers}"
    with pytest.raises(ValueError, match=text):
        list(pool.run(math.sqrt, [(4.0,)], workers=workers, title="roots"))


@pytest.mark.parametrize(("jobs", "lines"), [(4, 4), (20, 10), (25, 13)])
def test_a_log_gets_about_ten_lines(capsys, jobs, lines):
    list(pool.run(math.sqrt, [(1.0,)] * jobs, workers=1, title="roots"))
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == lines
    assert shown[-1] == f"       roots: {jobs} of {jobs}"
