"""Instances of unequal speed as one resource, which every call is sure to occupy; redundant.

Cumulatives reason on what is sure to be there. A call that may run on several groups of instances
is sure to be on none of them, so that CP-SAT learns next to nothing from the slots of each group.
It is sure to be on all of them together. There it holds a slot of group g for D_g ticks, and with a
demand of r_g, g's speed, its energy r_g·D_g is about the same wherever it runs:

    ``Σ_c r_{g(c)}·[c is on g(c) at time t] ≤ Σ_g r_g·slots_g``  at every t.

Any r make this valid, as at most slots_g calls are on g. Energy is what overload checking counts
(Wolf and Schrader 2006, doi 10.1007/11963578_8), which needs no LP.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ortools.sat.python import cp_model

from hexsolve.solver.optimum.cpsat.scope import Scope
from hexsolve.solver.optimum.cpsat.variables import Linear, Occupation, Phase, Variables

SPEED = 1000
"""Demand of a call in the slowest group."""

weighted = cp_model.LinearExpr.weighted_sum


class Choice(NamedTuple):
    """A call in a phase: from when, and for each option whether it is taken, where, how long."""

    call: int
    start: Linear
    uses: list[cp_model.IntVar]
    groups: list[int]
    ticks: list[int]


def joint_capacity(model: cp_model.CpModel, scope: Scope, v: Variables) -> None:
    """Add cumulatives over all groups of prefill, and of decode instances; see the module."""
    problem = scope.problem
    if len(scope.rows) > 1:
        places = {group: len(members) for group, members in scope.rows.items()}
        _cumulative(model, scope, v, "prefill", list(_prefills(scope, v)), places)
    if len(scope.columns) > 1 and scope.slots_bind:
        slots = {g: sum(problem.slots[d] for d in ds) for g, ds in scope.columns.items()}
        _cumulative(model, scope, v, "decode", list(_decodes(scope, v)), slots)


def add_joint_hints(
    model: cp_model.CpModel, v: Variables, taken: Mapping[tuple[Phase, int], tuple[int, int]]
) -> None:
    """Hint what `joint_capacity` added, from the start and the option of each call that is kept."""
    for occupied in v.occupations:
        begin, option = taken.get((occupied.phase, occupied.call), (0, -1))
        size = occupied.ticks[option] if option >= 0 else 0
        model.add_hint(occupied.end, begin + size)
        if occupied.size is not None:
            model.add_hint(occupied.size, size)
        if occupied.demand is not None:
            model.add_hint(occupied.demand, occupied.demands[option] if option >= 0 else 0)


def _cumulative(
    model: cp_model.CpModel,
    scope: Scope,
    v: Variables,
    phase: Phase,
    choices: list[Choice],
    places: Mapping[int, int],
) -> None:
    speeds = _speeds(choices, places)
    intervals, demands = [], []
    for c, start, uses, groups, ticks in choices:
        name = f"{phase}{c}"
        rates = [speeds[group] for group in groups]
        size, size_variable = _chosen(model, v, uses, ticks, f"s{name}")
        demand, demand_variable = _chosen(model, v, uses, rates, f"r{name}")
        workflow = scope.problem.calls[c].workflow
        end = model.new_int_var(0, scope.deadline[workflow], f"e{name}")
        if v.keep:
            interval = model.new_optional_interval_var(start, size, end, v.keep[workflow], name)
        else:
            interval = model.new_interval_var(start, size, end, name)
        intervals.append(interval)
        demands.append(demand)
        v.occupations.append(
            Occupation(phase, c, end, size_variable, ticks, demand_variable, rates)
        )
    total = sum(speeds[group] * number for group, number in places.items())
    model.add_cumulative(intervals, demands, total)


def _speeds(choices: list[Choice], places: Mapping[int, int]) -> dict[int, int]:
    """Return r_g: how many times as long the slowest group takes for what may run in all."""
    ticks = dict.fromkeys(places, 0)
    for choice in choices:
        least: dict[int, int] = {}
        for group, taken in zip(choice.groups, choice.ticks, strict=True):
            least[group] = min(taken, least.get(group, taken))
        if len(least) == len(places):
            for group, taken in least.items():
                ticks[group] += taken
    longest = max(ticks.values())
    return {g: round(SPEED * longest / taken) if taken else SPEED for g, taken in ticks.items()}


def _chosen(
    model: cp_model.CpModel, v: Variables, uses: list[cp_model.IntVar], values: list[int], name: str
) -> tuple[Linear | int, cp_model.IntVar | None]:
    """Return the value of the option that is used, and its variable if it needs one."""
    if len(set(values)) == 1:
        return values[0], None
    if len(values) == 2:
        return values[1] + (values[0] - values[1]) * uses[0], None
    # No option is used of a workflow that is spared.
    domain = cp_model.Domain.from_values([0, *values] if v.keep else values)
    variable = model.new_int_var_from_domain(domain, name)
    model.add(variable == weighted(uses, values))
    return variable, variable


def _prefills(scope: Scope, v: Variables) -> Iterator[Choice]:
    for c in scope.calls:
        options = scope.prefills[c]
        if any(option.occupied for option in options):
            groups = [scope.row_of[option.p] for option in options]
            ticks = [option.occupied for option in options]
            yield Choice(c, v.start[c], v.chosen[c], groups, ticks)


def _decodes(scope: Scope, v: Variables) -> Iterator[Choice]:
    for c in scope.calls:
        call, options = scope.problem.calls[c], scope.prefills[c]
        if call.decodes and options and scope.decodes[c]:
            groups = [scope.column_of[d] for d, _ in scope.decodes[c]]
            ticks = [
                steps + min(call.lag(option.p, d) for option in options)
                for d, steps in scope.decodes[c]
            ]
            yield Choice(c, v.sent[c], v.decoded[c], groups, ticks)
