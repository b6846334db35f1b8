"""The scheduling problem as flat arrays, the form that compiled loops take."""

from typing import NamedTuple

import numpy as np

from hexsolve.solver.optimum.bounds.times import Floats, Ints
from hexsolve.solver.optimum.problem import SchedulingProblem
from hexsolve.solver.optimum.windows import Windows


class FlatProblem(NamedTuple):
    """Calls, options and instances; rows ``first[c]`` to ``first[c + 1]`` belong to call c.

    Attributes
    ----------
    workflow, release : int array, shape (n,)
    parent_first, parent, delay : int array
        Parents of each call.
    child_first, child : int array
    option_first, option_p, source, ordered, occupied, lead, latency : int array
        The options in `ProblemCall.prefills`, p as a position in `prefill_rows`.
    decode_first, decode_d, span : int array
        Decode instances, d as a position in `decode_rows`.
    lag : int array, shape (n, P, D)
    decode_kv, prefill_kv : int array, shape (n,)
        Tokens held; 0 at decode instances whose pools hold more than their slots can.
    slots, room : int array, shape (D,)
    prompt_room : int array, shape (P,)
    prompts_bind : bool
        Whether all prompts together are more than the smallest prefill pool.
    arrival, horizon : array, shape (workflows,)
        In ticks, not rounded.
    spare : int
    tail : int array, shape (n,)
        See `Windows`.
    """

    workflow: Ints
    release: Ints
    parent_first: Ints
    parent: Ints
    delay: Ints
    child_first: Ints
    child: Ints
    option_first: Ints
    option_p: Ints
    source: Ints
    ordered: Ints
    occupied: Ints
    lead: Ints
    latency: Ints
    decode_first: Ints
    decode_d: Ints
    span: Ints
    lag: Ints
    decode_kv: Ints
    prefill_kv: Ints
    slots: Ints
    room: Ints
    prompt_room: Ints
    prompts_bind: bool
    arrival: Floats
    horizon: Floats
    spare: int
    tail: Ints


def _ints(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _starts(sizes: list[int]) -> Ints:
    return np.concatenate([[0], np.cumsum(_ints(sizes))]).astype(np.int64)


def flatten(problem: SchedulingProblem) -> FlatProblem:
    """Return the arrays of a problem."""
    calls, grid = problem.calls, problem.times.grid_s
    place = {p: k for k, p in enumerate(problem.prefill_rows)}
    column = {d: k for k, d in enumerate(problem.decode_rows)}
    children: list[list[int]] = [[] for _ in calls]
    for number, call in enumerate(calls):
        for parent, _ in call.parents:
            children[parent].append(number)
    largest = max(call.decode_kv for call in calls)
    pools_bind = any(
        min(len(calls), problem.slots[d]) * largest > problem.decode_room[d]
        for d in problem.decode_rows
    )
    rooms = [problem.prefill_room[p] for p in problem.prefill_rows]
    options = [option for call in calls for option in call.prefills]
    return FlatProblem(
        workflow=_ints([call.workflow for call in calls]),
        release=_ints([call.release for call in calls]),
        parent_first=_starts([len(call.parents) for call in calls]),
        parent=_ints([parent for call in calls for parent, _ in call.parents]),
        delay=_ints([delay for call in calls for _, delay in call.parents]),
        child_first=_starts([len(each) for each in children]),
        child=_ints([child for each in children for child in each]),
        option_first=_starts([len(call.prefills) for call in calls]),
        option_p=_ints([place[option.p] for option in options]),
        source=_ints([option.source for option in options]),
        ordered=_ints([option.ordered for option in options]),
        occupied=_ints([option.occupied for option in options]),
        lead=_ints([option.lead for option in options]),
        latency=_ints([option.latency for option in options]),
        decode_first=_starts([len(call.decodes) for call in calls]),
        decode_d=_ints([column[d] for call in calls for d, _ in call.decodes]),
        span=_ints([spans for call in calls for _, spans in call.decodes]),
        lag=np.maximum(
            np.array([[[call.lag_out[p]] for p in problem.prefill_rows] for call in calls]),
            np.array([[[call.lag_in[d] for d in problem.decode_rows]] for call in calls]),
        ),
        decode_kv=_ints([call.decode_kv if pools_bind else 0 for call in calls]),
        prefill_kv=_ints([call.prefill_kv for call in calls]),
        slots=_ints([problem.slots[d] for d in problem.decode_rows]),
        room=_ints([problem.decode_room[d] for d in problem.decode_rows]),
        prompt_room=_ints(rooms),
        prompts_bind=sum(call.prefill_kv for call in calls) > min(rooms),
        arrival=np.array(problem.arrival_s) / grid,
        horizon=np.array(problem.horizon_s) / grid,
        spare=problem.spare,
        tail=_ints(Windows(problem).tail),
    )
