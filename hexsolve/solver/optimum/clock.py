"""The time that a search has, in seconds, or in CP-SAT's deterministic time so that it repeats."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from hexsolve.solver.optimum.cpsat.model import Effort, Reply

WORK_PER_SECOND = 0.25
"""Units of CP-SAT's deterministic time that models of this size use in a second of a core."""


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search.

    Attributes
    ----------
    time_limit_s : float
        Seconds; with `deterministic` so much work as a core does in about that time.
    workers : int
        Threads of CP-SAT.
    deterministic : bool
        Count work, not time: with one worker, reruns are equal to the last bit.
    stop : callable, optional
        Asked now and then, also from other threads, whether to stop with what there is.
    """

    time_limit_s: float = 60.0
    workers: int = 1
    seed: int = 0
    deterministic: bool = False
    stop: Callable[[], bool] | None = None


def never() -> bool:
    """Return False."""
    return False


class Clock:
    """Deals out what is left of the time limit, and threads: `workers` of them."""

    def __init__(self, options: SearchOptions) -> None:
        self.options = options
        self.workers = options.workers
        self._started = time.perf_counter()
        self._worked = 0.0
        self._asked = 0

    @property
    def spent_s(self) -> float:
        """Seconds so far; deterministic: of work."""
        if self.options.deterministic:
            return self._worked / WORK_PER_SECOND
        return time.perf_counter() - self._started

    @property
    def stopped(self) -> bool:
        """Whether the search was asked to stop."""
        return self.options.stop is not None and self.options.stop()

    @property
    def left_s(self) -> float:
        """Seconds left; none once it was asked to stop."""
        if self.stopped:
            return 0.0
        return max(0.0, self.options.time_limit_s - self.spent_s)

    def effort(
        self, seconds: float, workers: int | None = None, stop: Callable[[], bool] = never
    ) -> Effort:
        """Return the effort of a run of CP-SAT of at most `seconds`; each has its own seed.

        Parameters
        ----------
        seconds : float
        workers : int, optional
            Left out: those of the clock.
        stop : callable, optional
            Asked whether to stop besides that of the options.
        """
        self._asked += 1
        seconds = min(seconds, self.left_s)
        options = self.options
        workers = workers or self.workers
        seed = options.seed * 1009 + self._asked
        work = None
        if options.deterministic:
            seconds, work = float("inf"), seconds * WORK_PER_SECOND
        return Effort(seconds, work, workers, seed, lambda: self.stopped or stop())

    def charge(self, reply: Reply) -> None:
        """Count the work of a run of CP-SAT."""
        self._worked += reply.work + 0.01

    def charge_seconds(self, seconds: float) -> None:
        """Count other work, which takes a core about so long."""
        self._worked += seconds * WORK_PER_SECOND
