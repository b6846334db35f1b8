"""Variables of the scheduling model."""

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ortools.sat.python import cp_model

from hexsolve.solver.optimum.cpsat.scope import Scope
from hexsolve.solver.optimum.timetable import Placed

Linear = cp_model.LinearExpr
Phase = Literal["prefill", "decode"]


class Occupation(NamedTuple):
    """A call's interval on all instances of a phase together.

    Its end; size and demand where they have variables, and what they are for each option.
    """

    phase: Phase
    call: int
    end: cp_model.IntVar
    size: cp_model.IntVar | None
    ticks: list[int]
    demand: cp_model.IntVar | None
    demands: list[int]


@dataclass(slots=True)
class Variables:
    """All variables, by position of the call; times in ticks.

    Attributes
    ----------
    keep : dict of int to BoolVar
        k_w, whether workflow w keeps the limit on α; only of workflows that may be spared.
    start, finish : dict of int to IntVar
        s_c, start of the prefill, and f_c.
    prefilled, sent : dict of int to expression
        e_c, end of the prefill, and t_c, start of the transfer.
    chosen : dict of int to list of BoolVar
        x_co of the options in `Scope.prefills`.
    decoded : dict of int to list of BoolVar
        z_cd of the options in `Scope.decodes`.
    scale : IntVar or None
        A = α in units of `UNIT`, if it is minimised.
    occupations : list of Occupation
        What the joint cumulatives added.
    """

    keep: dict[int, cp_model.IntVar] = field(default_factory=dict)
    start: dict[int, cp_model.IntVar] = field(default_factory=dict)
    finish: dict[int, cp_model.IntVar] = field(default_factory=dict)
    prefilled: dict[int, Linear] = field(default_factory=dict)
    sent: dict[int, Linear] = field(default_factory=dict)
    chosen: dict[int, list[cp_model.IntVar]] = field(default_factory=dict)
    decoded: dict[int, list[cp_model.IntVar]] = field(default_factory=dict)
    scale: cp_model.IntVar | None = None
    occupations: list[Occupation] = field(default_factory=list)


def make_variables(model: cp_model.CpModel, scope: Scope) -> Variables:
    """Create the variables with their windows as domains."""
    v = Variables()
    problem, windows = scope.problem, scope.windows
    if scope.spare > 0:
        v.keep = {w: model.new_bool_var(f"k{w}") for w in scope.deadline}
    frozen: Set[int] = frozenset() if scope.around is None else scope.around.frozen
    for c in scope.calls:
        call = problem.calls[c]
        if c in frozen:
            assert scope.around is not None
            _freeze(model, v, c, scope.around.timetable[c])
            continue
        room = scope.deadline[call.workflow] - windows.tail[c]
        v.start[c] = model.new_int_var(windows.head[c], scope.latest[c], f"s{c}")
        v.chosen[c] = [model.new_bool_var(f"x{c},{o.p},{o.source}") for o in scope.prefills[c]]
        v.decoded[c] = [model.new_bool_var(f"z{c},{d}") for d, _ in scope.decodes[c]]
        leads = [option.lead for option in scope.prefills[c]]
        if problem.times.mode == "optimistic":
            v.prefilled[c] = model.new_int_var(windows.head[c], room, f"e{c}")
        else:
            v.prefilled[c] = v.start[c] + cp_model.LinearExpr.weighted_sum(v.chosen[c], leads)
        v.finish[c] = model.new_int_var(windows.done[c], room, f"f{c}")
        if not call.decodes or not (scope.slots_bind or scope.kv_binds):
            v.sent[c] = v.prefilled[c]
        else:
            v.sent[c] = model.new_int_var(windows.head[c], room, f"t{c}")
    return v


def _freeze(model: cp_model.CpModel, v: Variables, c: int, placed: Placed) -> None:
    """Give a call the options and times that it has."""
    v.start[c] = model.new_constant(placed.start)
    v.finish[c] = model.new_constant(placed.finish)
    v.prefilled[c] = model.new_constant(placed.prefilled)
    v.sent[c] = model.new_constant(placed.sent) if placed.d >= 0 else v.prefilled[c]
    v.chosen[c] = [model.new_constant(1)]
    v.decoded[c] = [model.new_constant(1)] if placed.d >= 0 else []
