import contextlib
import math
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.extraction import pool_jobs
from vidrec.extraction import pool
from vidrec.extraction.pool import Lost

ROOT = Path(__file__).parents[2]
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and /proc of a Unix")


def counts(folder):
    """How often each job began, from the notes that it left: dict of int to int."""
    return {int(path.name): path.stat().st_size for path in folder.iterdir()}


def pids(folder, count, seconds=20):
    """The process ids that `count` jobs have left, as soon as they have."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = [int(path.read_text()) for path in folder.glob("[0-9]*")]
        if len(found) == count:
            return found
        time.sleep(0.02)
    pytest.fail(f"{len(found)} of {count} jobs began within {seconds} s")


def alive(pid):
    """Whether a process runs; one that has ended and waits for its parent's notice does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or before read
        return False
    return state not in "ZX"


def gone(found, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(map(alive, found)):
        time.sleep(0.02)
    return not any(map(alive, found))


def script(tmp_path, *, slow_start=False):
    """A script whose two workers sleep, or still import; and their process ids.

    It has a group of processes of its own, as what is begun in a terminal has.
    """
    folder = tmp_path / "pids"
    folder.mkdir()
    path = tmp_path / "script.py"
    path.write_text(
        textwrap.dedent(
            f"""
            import os
            from tests.extraction import pool_jobs
            from vidrec.extraction import pool
            jobs = [(i, {str(folder)!r}, 60) for i in range(4)]
            if __name__ == "__main__":
                list(pool.run(pool_jobs.pid_file, jobs, workers=2))
            elif {slow_start}:
                pool_jobs.pid_file(os.getpid(), *jobs[0][1:])
            """
        )
    )
    parent = subprocess.Popen(
        [sys.executable, path],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    return parent, pids(folder, 2)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_every_result_comes_once_with_its_job(workers):
    jobs = [(base, power) for base in (2.0, 3.0, 5.0) for power in (1, 2, 3)]
    results = list(pool.run(math.pow, jobs, workers=workers))
    assert sorted(results) == [(job, job[0] ** job[1]) for job in jobs]


def test_results_come_as_they_end_not_in_the_order_of_jobs():
    ended = [job for job, _ in pool.run(time.sleep, [(1.5,), (0.0,)], workers=2)]
    assert ended == [(0.0,), (1.5,)]


@pytest.mark.parametrize(("workers", "processes"), [(1, 1), (2, 2)])
def test_each_worker_is_one_process(workers, processes, tmp_path):
    jobs = [(i, tmp_path, 0.3) for i in range(4)]
    ids = {pid for _, pid in pool.run(pool_jobs.pid_file, jobs, workers=workers)}
    assert len(ids) == processes
    assert os.getpid() not in ids


def test_no_worker_is_this_process_and_keeps_the_order():
    results = pool.run(lambda x: (x, os.getpid()), [(3,), (4,), (2,)], workers=0)
    assert list(results) == [((x,), (x, os.getpid())) for x in (3, 4, 2)]


def test_none_is_one_worker_for_each_core_that_this_process_may_use(monkeypatch):
    def begun():
        taken = 0

        def jobs():
            nonlocal taken
            while True:
                taken += 1
                yield (0.0,)

        with contextlib.closing(pool.run(math.sqrt, jobs())) as outcomes:
            next(outcomes)
        return taken

    monkeypatch.setattr(pool.os, "sched_getaffinity", lambda _: {0, 5, 7}, raising=False)
    assert begun() == 3
    monkeypatch.delattr(pool.os, "sched_getaffinity")
    monkeypatch.setattr(pool.os, "cpu_count", lambda: 4)
    assert begun() == 4


def test_no_job_is_no_process(monkeypatch):
    monkeypatch.setattr(pool, "ProcessPoolExecutor", None)
    assert list(pool.run(os._exit, [], workers=4)) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_a_job_is_taken_when_a_worker_is_free(workers):
    taken, ended, most = 0, 0, 0

    def jobs():
        nonlocal taken, most
        for i in range(12):
            taken += 1
            most = max(most, taken - ended)
            yield (float(i),)

    for _ in pool.run(math.sqrt, jobs(), workers=workers):
        ended += 1
    assert (taken, ended) == (12, 12)
    assert most == max(workers, 1)


@POSIX
def test_a_job_that_kills_its_process_is_lost_and_no_other_is_disturbed(tmp_path):
    jobs = [(i, tmp_path, 7) for i in range(40)]
    outcomes = dict(pool.run(pool_jobs.killed, jobs, workers=2))
    lost = outcomes.pop(jobs[7])
    assert lost == Lost("its worker process died (signal 9, Killed) twice")
    assert outcomes == {job: job[0] ** 2 for job in jobs if job[0] != 7}
    assert counts(tmp_path) == {i: 2 if i == 7 else 1 for i in range(40)}


@POSIX
def test_a_job_that_dies_once_has_its_result_last(tmp_path):
    jobs = [(i, tmp_path, 7) for i in range(40)]
    outcomes = list(pool.run(pool_jobs.killed_once, jobs, workers=2))
    assert outcomes[-1] == (jobs[7], 49)
    assert sorted(outcomes) == [(job, job[0] ** 2) for job in jobs]
    assert counts(tmp_path) == {i: 2 if i == 7 else 1 for i in range(40)}


@POSIX
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("abort", "its worker process died (signal 6, Aborted) twice"),
        ("segfault", "its worker process died (signal 11, Segmentation fault) twice"),
        ("exit", "its worker process died (exit code 3) twice"),
        ("exit as if late", "its worker process died (exit code 1) twice"),
        ("sleep", "took longer than 0.7 s twice"),
        ("C", "took longer than 0.7 s twice"),
    ],
)
def test_the_reason_says_how_a_job_was_lost(how, reason):
    jobs = [("well", 0), (how, 1), ("well", 2), ("well", 3)]
    outcomes = list(pool.run(pool_jobs.dies, jobs, workers=1, time_limit=lambda job: 0.7))
    assert outcomes == [(job, "well") for job in jobs if job[0] == "well"] + [
        (jobs[1], Lost(reason))
    ]


@POSIX
def test_a_consumer_that_takes_its_time_makes_no_job_late():
    outcomes = pool.run(
        pool_jobs.dies, [("well", 0), ("exit", 1)], workers=2, time_limit=lambda job: 0.7
    )
    assert next(outcomes) == (("well", 0), "well")
    time.sleep(0.8)
    reason = "its worker process died (exit code 3) twice"
    assert list(outcomes) == [(("exit", 1), Lost(reason))]


def test_two_ends_are_both_told(tmp_path):
    outcomes = pool.run(
        pool_jobs.first_dies_then_sleeps, [(tmp_path,)], workers=1, time_limit=lambda job: 0.7
    )
    reason = "its worker process died (exit code 3) and then took longer than 0.7 s"
    assert list(outcomes) == [((tmp_path,), Lost(reason))]


def test_the_limit_is_each_jobs_own_and_ends_with_it():
    limits = {0.0: 0.4, 0.6: None, 0.5: 5}
    jobs = [(nap,) for nap in limits]
    outcomes = list(pool.run(time.sleep, jobs, workers=1, time_limit=lambda job: limits[job[0]]))
    assert outcomes == [(job, None) for job in jobs]


def test_suspects_run_alone_each_in_a_fresh_process(tmp_path, monkeypatch):
    passes = []
    once = pool._once

    def watched(function, jobs, time_limit, slots):
        passes.append(len(slots))
        yield from once(function, jobs, time_limit, slots)

    monkeypatch.setattr(pool, "_once", watched)
    jobs = [("exit", i) for i in range(3)]
    assert len(list(pool.run(pool_jobs.dies, jobs, workers=2))) == 3
    assert passes == [2, 1, 1, 1]


@POSIX
@pytest.mark.parametrize("seconds", [0, 0.2])
def test_a_worker_that_died_at_rest_is_replaced(seconds):
    """Whether or not the executor had time to see that."""
    outcomes = pool.run(pool_jobs.whoami, [(i,) for i in range(3)], workers=1)
    _, first = next(outcomes)
    os.kill(first, signal.SIGKILL)
    assert gone([first], 5)
    time.sleep(seconds)
    others = {pid for _, pid in outcomes}
    assert len(others) in (1, 2)  # 2 if it was handed a job first, which then is a suspect
    assert all(isinstance(pid, int) and pid != first for pid in others)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_the_function_comes_through(workers):
    outcomes = pool.run(math.sqrt, [(4.0,), (-1.0,)], workers=workers)
    assert next(outcomes) == ((4.0,), 2.0)
    with pytest.raises(ValueError, match="math domain error|nonnegative"):
        next(outcomes)


@POSIX
def test_an_error_of_the_function_ends_the_other_workers(tmp_path):
    jobs = [(0, tmp_path, 60), (1, tmp_path, 60, 1), (2, tmp_path, 60)]
    with pytest.raises(OSError, match="No space left"):
        list(pool.run(pool_jobs.pid_file, jobs, workers=2))
    assert not any(map(alive, pids(tmp_path, 1)))


@POSIX
def test_an_error_of_the_consumer_ends_all_workers(tmp_path):
    jobs = [(0, tmp_path, 0), (1, tmp_path, 60), (2, tmp_path, 60)]
    times = []

    def consumer():
        for _ in pool.run(pool_jobs.pid_file, jobs, workers=2):
            pids(tmp_path, 2)
            times.append(time.monotonic())
            raise RuntimeError("from the consumer")

    with pytest.raises(RuntimeError, match="from the consumer"):
        consumer()
    assert time.monotonic() - times[0] < 2
    assert not any(map(alive, pids(tmp_path, 2)))


@POSIX
def test_an_error_of_the_jobs_ends_all_workers(tmp_path):
    def jobs():
        yield 0, tmp_path, 60
        pids(tmp_path, 1)
        raise RuntimeError("from the jobs")

    with pytest.raises(RuntimeError, match="from the jobs"):
        list(pool.run(pool_jobs.pid_file, jobs(), workers=2))
    assert not any(map(alive, pids(tmp_path, 1)))


@POSIX
def test_closing_ends_all_workers(tmp_path):
    jobs = [(0, tmp_path, 0), (1, tmp_path, 60), (2, tmp_path, 60)]
    with contextlib.closing(pool.run(pool_jobs.pid_file, jobs, workers=2)) as outcomes:
        next(outcomes)
        found = pids(tmp_path, 2)
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert not any(map(alive, found))


@POSIX
@pytest.mark.parametrize("slow_start", [False, True])
def test_ctrl_c_ends_all_at_once_and_shows_one_traceback(tmp_path, slow_start):
    parent, found = script(tmp_path, slow_start=slow_start)
    began = time.monotonic()
    os.killpg(parent.pid, signal.SIGINT)  # as a terminal does: to each process of the group
    _, said = parent.communicate(timeout=20)
    assert time.monotonic() - began < 3
    assert said.count("Traceback (most recent call last)") == 1, said
    assert said.endswith("\nKeyboardInterrupt\n")
    assert gone(found, 0.5)


@POSIX
def test_workers_do_not_outlive_a_parent_that_is_killed(tmp_path):
    parent, found = script(tmp_path)
    parent.kill()
    parent.communicate(timeout=10)
    assert gone(found, 2)


def test_a_script_without_a_guard_is_told(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(
        "import math\nfrom vidrec.extraction import pool\n"
        "print(list(pool.run(math.sqrt, [(4.0,)], workers=1)))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, path], env=environment, capture_output=True, text=True, timeout=20
    )
    text = (
        r"\nRuntimeError: A new worker process died at once \(exit code 1; see above\)\. Do a "
        r"script's work under `if __name__ == '__main__':`, keep functions in modules, or try with "
        r"workers=0\.\n$"
    )
    assert re.search(text, ended.stderr), ended.stderr


@pytest.mark.parametrize(
    ("workers", "scheduler", "lowest"), [(-1, None, 0), (-2, "tcp://x:1", 1), (0, "tcp://x:1", 1)]
)
def test_too_few_workers_are_refused(workers, scheduler, lowest):
    text = f"^`workers` must be at least {lowest}. Received: workers={workers}$"
    with pytest.raises(ValueError, match=text):
        next(pool.run(math.sqrt, [(4.0,)], workers=workers, scheduler=scheduler))


def test_a_function_that_no_worker_can_import_is_told(tmp_path, capfd):
    def local():
        pass

    local.__qualname__ = "nowhere"
    local.__module__ = "tests.extraction.pool_jobs"
    pool_jobs.nowhere = local  # here it can be found
    try:
        with pytest.raises(RuntimeError, match=r"died at once \(exit code 1; see above\)"):
            list(pool.run(local, [()] * 3, workers=2))
    finally:
        del pool_jobs.nowhere
    assert "Can't get attribute 'nowhere'" in capfd.readouterr().err
