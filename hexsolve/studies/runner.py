"""Run what is missing of a study."""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context

from hexsolve.studies.cells import Cell, Outcome, cells, run_cell
from hexsolve.studies.schema import Study
from hexsolve.studies.store import Store

Report = Callable[[int, int, Outcome], None]


def run_study(study: Study, store: Store, jobs: int, report: Report) -> None:
    """Run the cells that the store lacks, in `jobs` processes.

    Parameters
    ----------
    study : Study
    store : Store
        Is given each outcome as it comes.
    jobs : int
        1 = in this process.
    report : callable
        Told (runs done in all, runs of the study, the outcome) after each run.
    """
    every = cells(study)
    known = store.rows()
    # Policies of one workload run together: they share its horizons.
    missing = sorted(
        (cell for cell in every if cell not in known),
        key=lambda cell: (cell.instance, cell.seed, cell.policy),
    )
    done = len(every) - len(missing)

    def take(outcome: Outcome) -> None:
        nonlocal done
        store.add(outcome)
        done += 1
        report(done, len(every), outcome)

    if jobs == 1:
        for cell in missing:
            take(run_cell(study, cell))
    elif missing:
        _in_processes(study, missing, jobs, take)
    store.finish()


def _in_processes(
    study: Study, missing: list[Cell], jobs: int, take: Callable[[Outcome], None]
) -> None:
    remaining = iter(missing)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running: set[Future[Outcome]] = set()
        while True:
            while len(running) < 2 * jobs and (cell := next(remaining, None)) is not None:
                running.add(pool.submit(run_cell, study, cell))
            if not running:
                return
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                take(future.result())
