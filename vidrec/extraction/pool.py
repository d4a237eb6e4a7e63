"""Many videos over many processes, where a job that kills its process costs only itself."""

import contextlib
import dataclasses
import faulthandler
import math
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool


@dataclasses.dataclass(frozen=True)
class Lost:
    """What comes instead of a result; `reason` is for people."""

    reason: str


def count(workers):
    """How many processes work at once: `workers`, or one a core for None, or this one for 0."""
    if workers is not None:
        return max(workers, 1)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def run(function, jobs, *, workers=None, time_limit=None, scheduler=None):
    """Yields (job, outcome) as jobs end; an outcome is `function(*job)` or a Lost.

    A job whose process dies, or that takes longer than its limit, is tried once more when all
    others are through: in a fresh process, with nothing beside it. If that fails too, its outcome
    is Lost. No other job is disturbed. When the generator is closed, or an error or ctrl-C goes
    through it, its processes are killed at once; they also end if this process is killed.

    Args:
        function: a function that a new process can import.
        jobs: iterable of argument tuples. The next is taken only when a worker is free to begin it.
        workers: int >= 1, processes; None for one a core; 0 for none: everything is done here, one
            after the other, with no protection and no limit.
        time_limit: function of a job to seconds > 0 or None, or None.
        scheduler: None, or "tcp://host:port" of a dask scheduler, whose workers then do the jobs,
            at most `workers` at a time. Start them with one thread each (a job out of time ends the
            process) and a nanny. A death there is one that dask has given up on, after
            `distributed.scheduler.allowed-failures` (3) repeats. What runs there is never killed.

    Raises:
        ValueError: if `workers` is negative, or 0 with a scheduler.
        ImportError, ConnectionError: without dask; if no scheduler with workers answers.
        RuntimeError: if a new process dies before it can begin.
        Exception: what `function` raises; what it foresees it should return.
    """
    lowest = 0 if scheduler is None else 1
    if workers is not None and workers < lowest:
        raise ValueError(f"`workers` must be at least {lowest}. Received: workers={workers}")
    if workers == 0:
        yield from ((job, function(*job)) for job in jobs)
        return
    local = contextlib.nullcontext([_LocalSlot() for _ in range(count(workers))])
    suspects = []
    with local if scheduler is None else _cluster(scheduler, workers) as slots:
        for job, outcome in _once(function, jobs, time_limit, slots):
            if isinstance(outcome, Lost):
                suspects.append((job, outcome.reason))
            else:
                yield job, outcome
        for suspect, first in suspects:
            for job, outcome in _once(function, [suspect], time_limit, slots[:1]):
                if isinstance(outcome, Lost):
                    both = "twice" if outcome.reason == first else f"and then {outcome.reason}"
                    outcome = Lost(f"{first} {both}")
                yield job, outcome


def _once(function, jobs, time_limit, slots):
    """Yields (job, outcome), Lost at the first death; a slot takes a job and says how it died."""
    jobs, running = iter(jobs), {}

    def begin(slot):
        if (job := next(jobs, None)) is not None:
            limit = None if time_limit is None else time_limit(job)
            running[slot.submit(_call, function, job, limit)] = slot, job, limit, time.monotonic()

    try:
        for slot in slots:
            begin(slot)
        while running:
            done = wait(running, return_when=FIRST_COMPLETED).done
            while done:
                slot, job, limit, began = running.pop(future := done.pop())
                try:
                    outcome = future.result()
                except slot.death as error:
                    outcome = Lost(slot.bury(error, limit or math.inf, time.monotonic() - began))
                del future  # while it is there, dask does the job again if its worker is lost
                yield job, outcome  # first: what is done is noted before more is begun
                begin(slot)
    finally:
        for slot in slots:
            slot.kill()


def _call(function, job, limit):
    """In a worker: `function(*job)`, or the end of this process after `limit` seconds."""
    if limit is None:
        return function(*job)
    with open(os.devnull, "w") as nowhere:  # the Lost says what there is to say
        # A thread in C: it also ends code that hangs in C with the interpreter's lock held.
        faulthandler.dump_traceback_later(limit, exit=True, file=nowhere)
        try:
            return function(*job)
        finally:
            faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def _cluster(scheduler, workers, patience=10):
    """Yields one slot for each thread of the dask workers, or for as many as `workers`."""
    try:
        from distributed import Client, KilledWorker
    except ImportError as error:
        raise ImportError("A scheduler needs dask: pip install 'vidrec[cluster]'") from error
    with contextlib.ExitStack() as stack:
        try:
            client = Client(scheduler, timeout=patience, set_as_default=False)
            stack.enter_context(client).wait_for_workers(1, timeout=patience)
        except (OSError, ValueError) as error:
            raise ConnectionError(
                f"No dask scheduler with workers answers at {scheduler}: {error}. Start them with "
                f"`dask scheduler` and, for each core, `dask worker {scheduler} --nthreads 1`."
            ) from error
        threads, submit = sum(client.nthreads().values()), client.get_executor(pure=False).submit
        yield [_ClusterSlot(submit, KilledWorker) for _ in range(min(workers or threads, threads))]


class _ClusterSlot:
    """One thread's worth of a dask cluster, which picks the worker and replaces dead ones."""

    def __init__(self, submit, death):
        self.submit, self.death = submit, death

    def bury(self, error, limit, seconds):
        late = seconds >= limit * (error.allowed_failures + 1)
        return f"took longer than {limit:g} s" if late else "its dask worker died"

    def kill(self):
        """Nothing: dask drops what is left when the client is closed."""


class _LocalSlot:
    """A process, a new one after a death: in one pool for all, a death would take every job."""

    death, executor = BrokenProcessPool, None

    def submit(self, *call):
        with contextlib.suppress(BrokenProcessPool):  # it has died at rest
            if self.executor is not None:
                return self.executor.submit(*call)
        self.context = _Spawn()
        self.executor = ProcessPoolExecutor(1, mp_context=self.context, initializer=_initialize)
        # A worker inherits this: ctrl-C in the middle of its imports would show their traceback.
        mask = getattr(signal, "pthread_sigmask", lambda *_: ())  # not on Windows
        before = mask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            self.first = self.executor.submit(callable, call[1])  # can it be imported there?
        finally:
            mask(signal.SIG_SETMASK, before)
        return self.executor.submit(*call)

    def bury(self, error, limit, seconds):
        self.kill()
        code = self.context.process.exitcode
        how = f"signal {-code}, {signal.strsignal(-code)}" if code < 0 else f"exit code {code}"
        if self.first.exception() is not None and code >= 0:  # not killed, as for its memory
            raise RuntimeError(
                f"A new worker process died at once ({how}; see above). Do a script's work under "
                "`if __name__ == '__main__':`, keep functions in modules, or try with workers=0."
            ) from error
        late = code == 1 and seconds >= limit  # 1 is faulthandler's
        return f"took longer than {limit:g} s" if late else f"its worker process died ({how})"

    def kill(self):
        if self.executor is not None:
            if self.context.process is not None and self.context.process.is_alive():
                self.context.process.kill()
            self.executor.shutdown()  # waits for the end
            self.executor = None


class _Spawn(type(multiprocessing.get_context("spawn"))):
    """Keeps the process that it starts. Spawned: a fork of TensorFlow's threads can hang."""

    process = None

    def Process(self, *args, **kwargs):
        self.process = super().Process(*args, **kwargs)
        return self.process


def _initialize():
    """In a new worker: ctrl-C is the parent's to handle, and without a parent it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: parent.join() or os._exit(1), daemon=True).start()
