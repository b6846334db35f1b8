"""A second thread that raises the bound while the first one looks for schedules."""

from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import NamedTuple

from hexsolve.solver.optimum.clock import Clock
from hexsolve.solver.optimum.cpsat.model import Reply, ask
from hexsolve.solver.optimum.cpsat.scope import LARGEST, Scope
from hexsolve.solver.optimum.timetable import Timetable, worst_slowdown
from hexsolve.solver.optimum.windows import Windows

FIRST_S = 2.0
"""Seconds of the first climb."""

SMALL_TEST, LARGE_TEST = 0.05, 0.25
"""Part of the time limit that a test may take, where climbs follow and where they do not."""

FIRST_PART, TESTS_LOST = 0.25, 3
"""Part of the gap that the first test is about; how many may fail to be refuted."""

NEAR = 0.0005
"""Relative gap below which no test is made: a climb ends in the whole proof."""


class State(NamedTuple):
    """What is known: the best schedule with its value, and a bound."""

    value: float
    timetable: Timetable
    bound: float


class Prover:
    """Raises the bound: by a few tests, and by climbs towards the best value, again and again.

    Tests bisect the gap with the LP relaxation: up to some α they are refuted in seconds, past that
    not in minutes, and a climb takes minutes to get there. Each climb (see `ASCENTS`) starts from
    what is known by then and takes the next way up, for twice as long; one that ends with a
    schedule is followed by the same for what is better still. Neither CP-SAT nor compiled code
    holds up Python's other threads, so that this one has a core of its own. Leave it by ``with``.

    Parameters
    ----------
    windows : Windows
    clock : Clock
        With at least two workers, of which this takes half.
    state : callable
        Returns what is known; called from the thread.
    climbs : bool
        Whether climbs follow the tests.
    """

    def __init__(
        self, windows: Windows, clock: Clock, state: Callable[[], State], climbs: bool = True
    ) -> None:
        self._windows, self._clock, self._state = windows, clock, state
        self._replies: SimpleQueue[Reply | BaseException] = SimpleQueue()
        self._ended = Event()
        self._proven = Event()
        self._workers = clock.workers // 2
        self._climbs = climbs
        self._bound, self._building_s = 0.0, 0.0
        self._thread = Thread(target=self._run, name="prover", daemon=True)

    def __enter__(self) -> "Prover":
        self._clock.workers -= self._workers
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def climbing(self) -> bool:
        """Whether the thread is still at it; it ends where there is nothing left to climb."""
        return self._thread.is_alive()

    @property
    def proven(self) -> bool:
        """Whether nothing is better than the best schedule; the reply that says so is there."""
        return self._proven.is_set()

    def replies(self) -> Iterator[Reply]:
        """Yield what came since the last time; raise what went wrong."""
        while True:
            try:
                reply = self._replies.get_nowait()
            except Empty:
                return
            if isinstance(reply, BaseException):
                raise reply
            yield reply

    def _run(self) -> None:
        try:
            self._test()
            if self._climbs:
                self._climb()
        except BaseException as error:
            self._replies.put(error)
        finally:
            self._clock.workers += self._workers

    def _in_time(self) -> bool:
        """Return whether there is time to build a model and look at it."""
        return not self._ended.is_set() and self._clock.left_s > self._building_s + 0.05

    def _ask(
        self,
        scope: Scope,
        seconds: float,
        hint: Timetable,
        bound: float | None = None,
        ascent: int | None = None,
    ) -> Reply:
        """Ask CP-SAT, and pass the reply on."""
        began = self._clock.spent_s
        effort = self._clock.effort(seconds, self._workers, self._ended.is_set)
        reply = ask(scope, effort, hint, bound, ascent=ascent)
        over = self._clock.spent_s - began - effort.seconds
        self._building_s = max(self._building_s, over)
        self._replies.put(reply)
        return reply

    def _test(self) -> None:
        """Bisect the gap by tests until so many of them are not refuted."""
        share = SMALL_TEST if self._climbs else LARGE_TEST
        seconds = share * self._clock.options.time_limit_s
        part, lost = FIRST_PART, 0
        while lost < TESTS_LOST and self._in_time():
            said = self._state()
            bound = max(said.bound, self._bound)
            scope = Scope(self._windows, bound + part * (said.value - bound))
            if said.value - bound < NEAR * said.value or scope.choices > LARGEST:
                return
            reply = self._ask(scope, seconds, said.timetable)
            if reply.infeasible:
                self._bound = reply.bound
            else:
                part, lost = part / 2.0, lost + 1

    def _climb(self) -> None:
        seconds, turn = FIRST_S, 0
        known = State(float("inf"), [], self._bound)
        while self._in_time():
            said = self._state()
            value, bound = min(said.value, known.value), max(said.bound, known.bound)
            scope = Scope(self._windows, value, strict=True)
            if scope.choices > LARGEST:
                return
            reply = self._ask(scope, seconds, said.timetable, bound, turn)
            if reply.infeasible:
                self._proven.set()
                return
            if reply.placed is not None:
                # Better, and perhaps the best.
                value = worst_slowdown(self._windows.problem, reply.placed)
            # This thread knows before the first one is told.
            known = State(value, said.timetable, max(bound, reply.bound))
            if not reply.optimal:
                seconds, turn = 2.0 * seconds, turn + 1
