"""What one CP-SAT model covers: a limit on α, the workflows that can keep it, and their windows."""

from dataclasses import dataclass

from hexsolve.solver.optimum.problem import Prefill, ProblemCall, SchedulingProblem
from hexsolve.solver.optimum.timetable import Placed, Timetable
from hexsolve.solver.optimum.windows import Windows

LARGEST = 10_000
"""Options in a model of all calls, at most: to build a larger one takes longer than it is worth."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The calls that are scheduled anew; all others keep their instances.

    Attributes
    ----------
    timetable : Timetable
        The schedule to improve.
    free : frozenset of int
        Calls that may run anywhere at any time.
    frozen : frozenset of int
        Calls that keep their times, too.
    """

    timetable: Timetable
    free: frozenset[int]
    frozen: frozenset[int]


class Scope:
    """The question whether all but `problem.spare` workflows can have a slowdown of at most α.

    In a neighbourhood, workflows that its timetable spares stay so, unless all their calls are
    free, and equal prefill instances are kept apart.

    Attributes
    ----------
    around : Neighbourhood or None
    deadline : dict of int to int
        Latest finish of the workflows that can keep α at all; the others must be spared.
    spare : int
        How many of those may still be spared; negative if there are not enough.
    calls : list of int
        Positions of the calls of these workflows.
    prefills, decodes : dict of int to list
        Options that leave enough time.
    latest : dict of int to int
        Latest start of each call's prefill.
    located : bool
        Whether it matters which of several equal prefill instances a call is prefilled on.
    rows, columns : dict of int to list of int
        Groups of interchangeable prefill and decode instances by group number.
    """

    def __init__(
        self,
        windows: Windows,
        alpha: float,
        strict: bool = False,
        around: Neighbourhood | None = None,
    ) -> None:
        problem = self.problem = windows.problem
        self.windows = windows
        self.alpha = alpha
        self.around = around
        limits = [problem.deadline(w, alpha, strict) for w in range(problem.workflows)]
        self.deadline = {w: end for w, end in enumerate(limits) if windows.end[w] <= end}
        if around is not None:
            for w, end in list(self.deadline.items()):
                late = max(around.timetable[c].finish for c in problem.of(w)) > end
                if late and not around.free.issuperset(problem.of(w)):
                    del self.deadline[w]
        self.spare = problem.spare - (problem.workflows - len(self.deadline))
        self.calls = [c for w in self.deadline for c in problem.of(w)]
        self.located = any(o.source >= 0 for c in self.calls for o in problem.calls[c].prefills)
        largest = max((problem.calls[c].decode_kv for c in self.calls), default=0)
        self.kv_binds = any(
            min(problem.slots[d], len(self.calls)) * largest > problem.decode_room[d]
            for d in problem.decode_rows
        )
        self.prompts_bind = sum(problem.calls[c].prefill_kv for c in self.calls) > min(
            problem.prefill_room[p] for p in problem.prefill_rows
        )
        apart = self.located or self.prompts_bind or around is not None
        self.row_of = _groups(problem, problem.prefill_rows, apart)
        self.column_of = _groups(problem, problem.decode_rows, self.kv_binds)
        self.rows = _members(self.row_of)
        self.columns = _members(self.column_of)
        decoding = sum(bool(problem.calls[c].decodes) for c in self.calls)
        self.slots_bind = any(decoding > problem.slots[d] for d in problem.decode_rows)
        self.prefills: dict[int, list[Prefill]] = {}
        self.decodes: dict[int, list[tuple[int, int]]] = {}
        self.latest: dict[int, int] = {}
        for c in self.calls:
            if around is None or c in around.free:
                self._options(c, problem.calls[c])
            else:
                self._option_of(c, around.timetable[c])

    def _option_of(self, c: int, placed: Placed) -> None:
        """Keep the option that the call has."""
        call = self.problem.calls[c]
        room = self.deadline[call.workflow] - self.windows.tail[c]
        option, spans = placed.option, dict(call.decodes)
        self.prefills[c] = [option]
        self.decodes[c] = []
        rest = 0
        if placed.d >= 0:
            column = self.columns[self.column_of[placed.d]][0]
            self.decodes[c].append((column, spans[column]))
            rest = call.lag(option.p, column) + spans[column]
        self.latest[c] = room - rest - option.lead

    def _options(self, c: int, call: ProblemCall) -> None:
        """Keep one option per group of instances, if it can end in time."""
        windows = self.windows
        room = self.deadline[call.workflow] - windows.tail[c]
        decodes = [(d, t) for d, t in call.decodes if self.columns[self.column_of[d]][0] == d]
        prefills = []
        ends: list[int] = []
        for option in call.prefills:
            if self.rows[self.row_of[option.p]][0] != option.p:
                continue
            rest = min((call.lag(option.p, d) + t for d, t in decodes), default=0)
            if windows.head[c] + max(option.lead, option.latency) + rest <= room:
                prefills.append(option)
                ends.append(room - rest - option.lead)
        begun = [windows.head[c] + max(o.lead, o.latency) for o in prefills]
        self.decodes[c] = [
            (d, t)
            for d, t in decodes
            if any(
                begin + call.lag(o.p, d) + t <= room
                for begin, o in zip(begun, prefills, strict=True)
            )
        ]
        self.prefills[c] = prefills
        self.latest[c] = max(ends, default=-1)

    @property
    def choices(self) -> int:
        """How many options there are in all: the size of the model."""
        return sum(len(self.prefills[c]) + len(self.decodes[c]) for c in self.calls)

    @property
    def hopeless(self) -> bool:
        """Whether the windows alone prove that α cannot be kept."""
        return self.spare < 0


def _groups(problem: SchedulingProblem, rows: tuple[int, ...], apart: bool) -> dict[int, int]:
    """Return the group of each instance: its own if they are kept apart, else by kind."""
    return {row: row if apart else problem.kinds[row] for row in rows}


def _members(group_of: dict[int, int]) -> dict[int, list[int]]:
    members: dict[int, list[int]] = {}
    for row, group in group_of.items():
        members.setdefault(group, []).append(row)
    return members
