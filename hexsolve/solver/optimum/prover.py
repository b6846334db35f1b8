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


class State(NamedTuple):
    """What is known: the best schedule with its value, and a bound."""

    value: float
    timetable: Timetable
    bound: float


class Prover:
    """Climbs from the bound towards the best value (see `ASCENTS`), again and again.

    Each climb starts from what is known by then and takes the next way up, for twice as long; one
    that ends with a schedule is followed by the same for what is better still. Neither CP-SAT nor
    compiled code holds up Python's other threads, so that this one has a core of its own. Leave it
    by ``with``.

    Parameters
    ----------
    windows : Windows
    clock : Clock
        With at least two workers, of which this takes half.
    state : callable
        Returns what is known; called from the thread.
    """

    def __init__(self, windows: Windows, clock: Clock, state: Callable[[], State]) -> None:
        self._windows, self._clock, self._state = windows, clock, state
        self._replies: SimpleQueue[Reply | BaseException] = SimpleQueue()
        self._ended = Event()
        self._proven = Event()
        self._workers = clock.workers // 2
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
            self._climb()
        except BaseException as error:
            self._replies.put(error)
        finally:
            self._clock.workers += self._workers

    def _climb(self) -> None:
        seconds, turn, building_s = FIRST_S, 0, 0.0
        known = State(float("inf"), [], 0.0)
        while not self._ended.is_set() and self._clock.left_s > building_s + 0.05:
            said = self._state()
            value, bound = min(said.value, known.value), max(said.bound, known.bound)
            scope = Scope(self._windows, value, strict=True)
            if scope.choices > LARGEST:
                return
            began = self._clock.spent_s
            effort = self._clock.effort(seconds, self._workers, self._ended.is_set)
            reply = ask(scope, effort, said.timetable, bound, ascent=turn)
            building_s = max(building_s, self._clock.spent_s - began - effort.seconds)
            self._replies.put(reply)
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
