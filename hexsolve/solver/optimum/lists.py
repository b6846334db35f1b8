"""List scheduling inside the model: timetables from orders of calls; the loops are compiled."""

from collections.abc import Mapping, Sequence

import numpy as np

from hexsolve.solver.optimum.bounds.times import Ints
from hexsolve.solver.optimum.flat import flatten
from hexsolve.solver.optimum.placing import ANY, place_all
from hexsolve.solver.optimum.problem import SchedulingProblem
from hexsolve.solver.optimum.timetable import Placed


class ListScheduler:
    """Builds timetables; holds what does not change between two of them.

    Attributes
    ----------
    flat : FlatProblem
    nothing : int array, shape (n, 6)
        For `place_all`: no call is placed already.
    anywhere : int array, shape (n, 2)
        For `place_all`: no call is bound to instances.
    """

    def __init__(self, problem: SchedulingProblem) -> None:
        self.problem = problem
        self.flat = flatten(problem)
        calls = len(problem.calls)
        self.nothing: Ints = np.full((calls, 6), -1, dtype=np.int64)
        self.anywhere: Ints = np.full((calls, 2), ANY, dtype=np.int64)
        self._column = {d: k for k, d in enumerate(problem.decode_rows)}

    def schedule(
        self, keys: Sequence[float], fixed: Mapping[int, Placed] | None = None
    ) -> list[Placed]:
        """Return the timetable in which the eligible call with the least key is placed next.

        `fixed` are calls, with their ancestors, that are placed already; see `place_all`.
        """
        given = self.rows(fixed) if fixed else self.nothing
        return self.timetable(
            place_all(self.flat, np.array(keys, dtype=float), self.anywhere, given)
        )

    def rows(self, fixed: Mapping[int, Placed]) -> Ints:
        """Return the rows of `place_all` of some calls."""
        rows = self.nothing.copy()
        for c, placed in fixed.items():
            option = int(self.flat.option_first[c]) + self.problem.calls[c].prefills.index(
                placed.option
            )
            d = self._column[placed.d] if placed.d >= 0 else -1
            rows[c] = (option, d, placed.start, placed.prefilled, placed.sent, placed.finish)
        return rows

    def timetable(self, rows: Ints) -> list[Placed]:
        """Return the timetable of the rows of `place_all`."""
        problem, first = self.problem, self.flat.option_first
        timetable = []
        for c, (option, d, *times) in enumerate(rows.tolist()):
            chosen = problem.calls[c].prefills[option - int(first[c])]
            timetable.append(Placed(chosen, problem.decode_rows[d] if d >= 0 else -1, *times))
        return timetable
