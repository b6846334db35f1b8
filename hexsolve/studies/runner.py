"""Run what is missing of a study: in this process, in several, or on a Dask cluster."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack, closing
from itertools import groupby
from multiprocessing import get_context
from typing import Protocol

from hexsolve.studies.bounds import BoundCell, BoundOutcome, bound_cells, run_bound
from hexsolve.studies.cells import Cell, Outcome, cells, run_cell
from hexsolve.studies.schema import Study
from hexsolve.studies.store import Store

Report = Callable[[int, int, Outcome | BoundOutcome], None]
Job = Cell | BoundCell
Result = Outcome | BoundOutcome


class Executor(Protocol):
    """Runs jobs somewhere, in any order."""

    def __call__(self, study: Study, jobs: list[Job]) -> Iterator[Result]:
        """Yield the result of each job once, as it comes."""


def run_job(study: Study, job: Job) -> Result:
    """Run one job."""
    return run_bound(study, job) if isinstance(job, BoundCell) else run_cell(study, job)


def here(study: Study, jobs: list[Job]) -> Iterator[Result]:
    """Run one job after the other in this process."""
    for job in jobs:
        yield run_job(study, job)


def processes(count: int) -> Executor:
    """Return an executor of `count` processes on this machine."""

    def run(study: Study, jobs: list[Job]) -> Iterator[Result]:
        # The runs of a workload go to one process, which then prepares it once.
        waiting = deque(deque(group) for _, group in groupby(jobs, key=_workload))
        queues: list[deque[Job]] = [deque() for _ in range(count)]
        owners: dict[Future[Result], int] = {}
        with ExitStack() as stack:
            pools = [
                stack.enter_context(
                    ProcessPoolExecutor(
                        1, get_context("spawn"), initializer=_remember, initargs=(study,)
                    )
                )
                for _ in range(count)
            ]
            # A second job each waits, so that no process ever does.
            idle = [*range(count), *range(count)]
            while True:
                for number in idle:
                    if not queues[number] and waiting:
                        queues[number] = waiting.popleft()
                    # Out of workloads: take the last run of the process that has most to do.
                    queue = queues[number] or max(queues, key=len)
                    if queue:
                        job = queue.popleft() if queue is queues[number] else queue.pop()
                        owners[pools[number].submit(_run_remembered, job)] = number
                if not owners:
                    return
                ended, _ = wait(owners, return_when=FIRST_COMPLETED)
                idle = [owners.pop(future) for future in ended]
                for future in ended:
                    yield future.result()

    return run


def _workload(job: Job) -> tuple[str, int]:
    return job.instance, job.seed


_REMEMBERED: list[Study] = []


def _remember(study: Study) -> None:
    """Keep the study in a worker, which would otherwise receive it with every job."""
    _REMEMBERED[:] = [study]


def _run_remembered(job: Job) -> Result:
    return run_job(_REMEMBERED[0], job)


def run_study(study: Study, store: Store, execute: Executor, report: Report) -> None:
    """Run the jobs that the store lacks.

    Parameters
    ----------
    study : Study
    store : Store
        Is given each result as it comes.
    execute : Executor
        `here`, `processes`, or `hexsolve.studies.dask.cluster`.
    report : callable
        Told (jobs done in all, jobs of the study, the result) after each job.
    """
    every: list[Job] = [*cells(study), *bound_cells(study)]
    rows, bounds = store.rows(), store.bounds()
    # Policies of one workload run together: they share its horizons, and so do its bounds.
    missing = sorted(
        (job for job in every if job not in rows and job not in bounds),
        key=lambda job: (job.instance, job.seed, job.policy if isinstance(job, Cell) else ""),
    )
    done = len(every) - len(missing)
    taken: set[Job] = set()
    with closing(store):
        for result in execute(study, missing) if missing else ():
            if result.cell in taken:
                continue
            taken.add(result.cell)
            store.add(result)
            done += 1
            report(done, len(every), result)
    store.finish()
