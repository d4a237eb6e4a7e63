"""Many videos over several processes, with progress and time left."""

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PLAIN_STEPS = 10  # lines that a log file gets instead of a moving bar


def run(function, jobs, *, workers=None, title):
    """Yields `function(*job)` for each job, in the order in which they end.

    Args:
        function: a function that a new process can import.
        jobs: list of argument tuples.
        workers: int >= 1 or None, processes; None for one a core.
        title: str, what the progress bar says.

    Raises:
        ValueError: if `workers` is less than 1.
        RuntimeError: if a process dies. Results that were yielded before stand.
    """
    workers = os.cpu_count() if workers is None else workers
    if workers < 1:
        raise ValueError(f"`workers` must be at least 1. Received: workers={workers}")
    with progress_bar(title, len(jobs)) as advance:
        if workers == 1 or len(jobs) < 2:
            for job in jobs:
                yield function(*job)
                advance()
            return
        # Spawned, not forked: a fork of a process that has TensorFlow's threads can hang.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context) as pool:
            futures = [pool.submit(function, *job) for job in jobs]
            try:
                for future in as_completed(futures):
                    yield future.result()
                    advance()
            except BrokenProcessPool as error:
                raise RuntimeError(
                    f"A worker process died while extracting {title} (killed for memory, or by a "
                    "damaged file). What was done is kept: run the same command again to go on, "
                    "with --workers 1 to see which video it is."
                ) from error
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


class progress_bar:
    """Context manager that yields `advance()`: a moving bar on a terminal, a few lines in a log."""

    def __init__(self, title, total):
        self.title, self.total, self.done = title, total, 0
        self.console = Console(stderr=True)
        self.bar = Progress(
            TextColumn("{task.description:>12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            speed_estimate_period=600,  # a long video may take minutes
            disable=not self.console.is_terminal,
        )

    def __enter__(self):
        self.bar.start()
        self.began = time.monotonic()
        self.task = self.bar.add_task(self.title, total=self.total)
        return self.advance

    def __exit__(self, *_):
        self.bar.stop()

    def advance(self):
        self.done += 1
        self.bar.advance(self.task)
        step = max(1, self.total // PLAIN_STEPS)
        if not self.console.is_terminal and (self.done % step == 0 or self.done == self.total):
            left = (time.monotonic() - self.began) / self.done * (self.total - self.done)
            text = f"{self.title:>12}: {self.done} of {self.total}"
            self.console.print(f"{text}, about {left:.0f} s left" if left else text)
