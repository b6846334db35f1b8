"""List scheduling in compiled loops, with the plain one where prompts fill a prefill pool."""

from collections.abc import Sequence

import numpy as np

from hexsolve.solver.optimum.bounds.times import Ints
from hexsolve.solver.optimum.flat import flatten
from hexsolve.solver.optimum.lists import ListScheduler
from hexsolve.solver.optimum.placing import ANY, place_all
from hexsolve.solver.optimum.problem import SchedulingProblem
from hexsolve.solver.optimum.timetable import Placed, Timetable


class FastLists:
    """Builds timetables as `ListScheduler` does, without fixed calls."""

    def __init__(self, lists: ListScheduler) -> None:
        self._lists = lists
        self.problem = lists.problem
        self.flat = flatten(lists.problem)
        self._anywhere: Ints = np.full(len(lists.problem.calls), ANY, dtype=np.int64)

    def schedule(self, keys: Sequence[float]) -> list[Placed]:
        """Return the timetable in which the eligible call with the least key is placed next."""
        return self.timetable(place_all(self.flat, np.array(keys, dtype=float), self._anywhere))

    def timetable(self, rows: Ints) -> list[Placed]:
        """Return the timetable of the rows of `place_all`, changed where prompts do not fit."""
        problem, first = self.problem, self.flat.option_first
        timetable = []
        for c, (option, d, *times) in enumerate(rows.tolist()):
            chosen = problem.calls[c].prefills[option - int(first[c])]
            timetable.append(Placed(chosen, problem.decode_rows[d] if d >= 0 else -1, *times))
        if self._lists.holds and not prompts_fit(problem, timetable):
            return self._lists.schedule([float(row.start) for row in timetable])
        return timetable


def prompts_fit(problem: SchedulingProblem, timetable: Timetable) -> bool:
    """Return whether prompts, until their transfers end, fit the prefill pools."""
    events: dict[int, list[tuple[int, int]]] = {p: [] for p in problem.prefill_rows}
    for call, row in zip(problem.calls, timetable, strict=True):
        p = row.option.p
        until = row.prefilled if row.d < 0 else row.sent + call.lag(p, row.d)
        events[p] += [(row.start, call.prefill_kv), (until, -call.prefill_kv)]
    for p, each in events.items():
        held = 0
        for _, change in sorted(each):
            held += change
            if held > problem.prefill_room[p]:
                return False
    return True
