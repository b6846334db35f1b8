"""Run what is missing of a study: in this process, in several, or on a Dask cluster."""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
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
        remaining = iter(jobs)
        with ProcessPoolExecutor(
            count, get_context("spawn"), initializer=_remember, initargs=(study,)
        ) as pool:
            running: set[Future[Result]] = set()
            while True:
                # A second job each waits, so that no process ever does.
                while len(running) < 2 * count and (job := next(remaining, None)) is not None:
                    running.add(pool.submit(_run_remembered, job))
                if not running:
                    return
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    yield future.result()

    return run


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
    for result in execute(study, missing) if missing else ():
        if result.cell in taken:
            continue
        taken.add(result.cell)
        store.add(result)
        done += 1
        report(done, len(every), result)
    store.finish()
