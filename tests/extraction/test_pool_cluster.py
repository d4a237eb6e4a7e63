import functools
import os
import socket
import sys
import time

import pytest

from tests.extraction import pool_jobs
from tests.extraction.test_one_pass import contents
from vidrec.datasets.folder import Folder
from vidrec.extraction import pool
from vidrec.extraction.batch import extract_flow
from vidrec.extraction.engines import FlowSettings
from vidrec.extraction.pool import Lost
from vidrec.store import Store

distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals")]
ALLOWED = 1  # times that dask repeats a job whose worker died


@pytest.fixture(scope="module")
def cluster():
    """The address of a scheduler with two workers, a process each of one thread."""
    import dask

    options = {
        "distributed.scheduler.allowed-failures": ALLOWED,
        # LocalCluster gives up a worker that it does not see this long after a death: another
        # death at that moment is enough. `dask worker` has no such thing.
        "distributed.deploy.lost-worker-timeout": "1 hour",
        "distributed.logging": {"distributed": "critical"},
    }
    with (
        dask.config.set(options),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
    ):
        yield cluster.scheduler_address


def test_the_results_are_those_of_processes_here(cluster, tmp_path):
    jobs = [(i, tmp_path) for i in range(20)]
    results = list(pool.run(pool_jobs.square, jobs, scheduler=cluster))
    assert sorted(results) == [((i, tmp_path), i * i) for i in range(20)]
    assert sorted(path.stat().st_size for path in tmp_path.iterdir()) == [1] * 20


@pytest.mark.parametrize(("workers", "most"), [(None, 2), (1, 1), (5, 2)])
def test_as_many_at_a_time_as_threads_and_never_more_than_workers(cluster, workers, most):
    taken, ended, seen = 0, 0, 0

    def jobs():
        nonlocal taken, seen
        for i in range(8):
            taken += 1
            seen = max(seen, taken - ended)
            yield (i,)

    ids = set()
    for _, pid in pool.run(pool_jobs.whoami, jobs(), workers=workers, scheduler=cluster):
        ids.add(pid)
        ended += 1
    assert (ended, seen) == (8, most)
    assert os.getpid() not in ids


def test_a_job_that_kills_its_worker_is_lost_and_the_others_are_not(cluster, tmp_path):
    jobs = [(i, tmp_path, 3) for i in range(10)]
    outcomes = dict(pool.run(pool_jobs.killed, jobs, scheduler=cluster))
    assert outcomes.pop(jobs[3]) == Lost("its dask worker died twice")
    assert outcomes == {job: job[0] ** 2 for job in jobs if job[0] != 3}
    assert (tmp_path / "3").stat().st_size == 2 * (ALLOWED + 1)


@pytest.mark.parametrize("how", ["sleep", "C"])
def test_a_job_that_hangs_is_lost(cluster, how):
    jobs = [("well", 0), (how, 1), ("well", 2)]
    outcomes = dict(pool.run(pool_jobs.dies, jobs, scheduler=cluster, time_limit=lambda job: 1))
    assert outcomes.pop(jobs[1]) == Lost("took longer than 1 s twice")
    assert outcomes == {jobs[0]: "well", jobs[2]: "well"}


def test_an_error_of_the_function_comes_through(cluster, tmp_path):
    jobs = [(0, tmp_path, 0.2), (1, tmp_path, 0, 1)]
    with pytest.raises(OSError, match="No space left on device"):
        list(pool.run(pool_jobs.pid_file, jobs, scheduler=cluster))


def test_closing_cancels(cluster, tmp_path):
    outcomes = pool.run(pool_jobs.pid_file, [(i, tmp_path, i) for i in range(9)], scheduler=cluster)
    next(outcomes)
    began = time.monotonic()
    outcomes.close()
    assert time.monotonic() - began < 2
    with distributed.Client(cluster, set_as_default=False) as client:
        end = time.monotonic() + 5
        while client.run_on_scheduler(_tasks) and time.monotonic() < end:
            time.sleep(0.05)
        assert client.run_on_scheduler(_tasks) == 0


def _tasks(dask_scheduler):
    return len(dask_scheduler.tasks)


def refusal(address, seconds):
    began = time.monotonic()
    with pytest.raises(ConnectionError) as refused:
        list(pool.run(pool_jobs.whoami, [(1,)], scheduler=address))
    assert time.monotonic() - began < seconds
    return str(refused.value)


def test_an_address_where_nobody_answers_is_named(monkeypatch):
    monkeypatch.setattr(pool, "_cluster", functools.partial(pool._cluster, patience=1))
    with socket.socket() as taken:  # bound, and does not listen
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        text = refusal(address, 5)
    assert text.startswith(f"No dask scheduler with workers answers at {address}: Timed out trying")
    assert text.endswith(
        "Start them with `dask scheduler` and, for each core, `dask worker "
        f"{address} --nthreads 1`."
    )


def test_what_is_no_address_is_named():
    text = refusal("ftp://here:1", 5)
    assert text.startswith("No dask scheduler with workers answers at ftp://here:1: unknown")


def test_a_scheduler_without_workers_is_named(monkeypatch):
    monkeypatch.setattr(pool, "_cluster", functools.partial(pool._cluster, patience=1))
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0") as empty:
        text = refusal(empty.scheduler_address, 5)
    assert "Only 0/1 workers arrived after 1" in text


def test_without_dask_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    text = r"^A scheduler needs dask: pip install 'vidrec\[cluster\]'$"
    with pytest.raises(ImportError, match=text):
        list(pool.run(pool_jobs.whoami, [(1,)], scheduler="tcp://127.0.0.1:1"))


def test_flow_by_a_cluster_is_that_of_one_process(cluster, drawn, tmp_path, monkeypatch):
    """From a relative path, which means another folder where the workers are."""
    table, settings = Folder().videos(drawn)[:5], FlowSettings(engine="dis")
    whole = Store(tmp_path / "whole")
    extract_flow(whole, settings, table=table, workers=0)
    monkeypatch.chdir(tmp_path)
    store = Store("by_cluster")
    index = extract_flow(store, settings, table=table, scheduler=cluster)
    assert index.n_flow.tolist() == [39] * 5
    assert contents(store) == contents(whole)
