"""First schedules: list scheduling under several priority rules."""

from collections.abc import Callable, Sequence

from hexsolve.solver.optimum.clock import never
from hexsolve.solver.optimum.lists import ListScheduler
from hexsolve.solver.optimum.timetable import Placed, kept, value
from hexsolve.solver.optimum.windows import Windows

SCALES = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 13.0)
"""Multiples of the critical-path bound for which deadlines are tried."""


class Incumbent:
    """The best schedule so far, and how to make one of some calls.

    Attributes
    ----------
    value : float
    timetable : list of Placed
    source : str
        What found it.
    keys : sequence of float
        Of list scheduling: with these, or with its bindings in the order of its starts, the
        timetable or one close to it is made again.
    """

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.problem = windows.problem
        self.lists = ListScheduler(self.problem)
        self.value = float("inf")
        self.timetable: list[Placed] = []
        self.source = ""
        self.keys: Sequence[float] = ()

    def offer(
        self, timetable: list[Placed], source: str, keys: Sequence[float] | None = None
    ) -> bool:
        """Keep a schedule, made with `keys`, if it is better; try to move its calls forward."""
        reached = value(self.problem, timetable)
        if reached < self.value:
            starts = [float(row.start) for row in timetable]
            forward = self.lists.schedule(starts)
            if (moved := value(self.problem, forward)) < reached:
                timetable, reached, keys = forward, moved, None
            self.value, self.timetable, self.source = reached, timetable, source
            self.keys = starts if keys is None else keys
            return True
        return False

    def list_by(self, keys: Sequence[float], source: str) -> list[Placed]:
        """Offer the schedule that list scheduling makes with `keys`; return it."""
        made = self.lists.schedule(keys)
        self.offer(made, source, keys)
        return made

    def complete(self, placed: dict[int, Placed], source: str) -> bool:
        """Offer the schedule that has the calls `placed`, and the others where they fit."""
        keys = [float(row.start) for row in self.timetable] or [0.0] * len(self.problem.calls)
        return self.offer(self.lists.schedule(keys, placed), source)


def deadline_keys(windows: Windows, alpha: float, spared: Sequence[int] = ()) -> list[float]:
    """Return the latest start of each call with which its workflow keeps α; spared ones last."""
    problem = windows.problem
    grid = problem.times.grid_s
    keys = []
    for c, call in enumerate(problem.calls):
        w = call.workflow
        due = (problem.arrival_s[w] + alpha * problem.horizon_s[w]) / grid
        keys.append(due - windows.tail[c] - windows.least[c])
    late = max(keys, default=0.0)
    for w in spared:
        for c in problem.of(w):
            keys[c] += 2.0 * abs(late) + 1.0
    return keys


def arrival_keys(windows: Windows) -> list[float]:
    """Return workflow-FCFS: the arrival of each call's workflow, then its position."""
    problem = windows.problem
    return [problem.arrival_s[call.workflow] + 1e-9 * c for c, call in enumerate(problem.calls)]


def first_schedules(incumbent: Incumbent, enough: Callable[[], bool] = never) -> None:
    """Offer the schedules of every rule: arrival order, earliest head, deadlines at many α.

    With workflows to spare, those that were late are then put last. Once it is `enough`, the rules
    that are left are left out; the first one never is.
    """
    windows, problem = incumbent.windows, incumbent.problem
    incumbent.list_by(arrival_keys(windows), "list: workflow-fcfs")
    if enough():
        return
    incumbent.list_by([float(head) for head in windows.head], "list: earliest first")
    least = max(windows.critical_path_bound(), 1e-9)
    for scale in SCALES:
        alpha = scale * least
        spared: list[int] = []
        for _ in range(3 if problem.spare else 1):
            if enough():
                return
            keys = deadline_keys(windows, alpha, spared)
            made = incumbent.list_by(keys, f"list: deadlines at {alpha:.3g}")
            counted = kept(problem, made)
            spared = [w for w in range(problem.workflows) if w not in counted]
