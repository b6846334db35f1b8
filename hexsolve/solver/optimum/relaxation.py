"""The preemptive relaxation of the scheduling problem: its exact times for the simulator's bounds.

Machine time of a decode instance is divided by its slots, or by its pool, whichever is scarcer:
calls that are on d at once hold at most `slots` slots and `decode_room` tokens, so that shares of
``span/slots`` (or ``span·tokens/room``) add up to at most the time.
"""

import numpy as np

from hexsolve.models.schedule import PERCENT
from hexsolve.solver.optimum.bounds.best import Bound, best_bound, times_bounds
from hexsolve.solver.optimum.bounds.times import INFEASIBLE, Floats, Times
from hexsolve.solver.optimum.problem import SchedulingProblem

_REDUCED = 1.0 - 1e-9


def problem_times(problem: SchedulingProblem) -> Times:
    """Return the least latencies and work of every call in any schedule of `problem`, s.

    The transfer counts as part of the decode steps, since it holds a slot, at the faster of the
    links that a prefill may come over.
    """
    rows = (*problem.prefill_rows, *problem.decode_rows)
    numbers = sorted({problem.kinds[row] for row in rows})
    place = {kind: k for k, kind in enumerate(numbers)}
    members = tuple(tuple(row for row in rows if problem.kinds[row] == kind) for kind in numbers)
    shape = (len(problem.calls), len(numbers))
    prefill_s, prefill_work = np.full(shape, INFEASIBLE), np.full(shape, INFEASIBLE)
    decode_s, by_slots, by_tokens = (np.full(shape, INFEASIBLE) for _ in range(3))
    tool = np.zeros(shape[0])
    for c, call in enumerate(problem.calls):
        if call.parents:
            tool[c] = min(delay for _, delay in call.parents)
        else:
            # Optimistic releases are rounded below the arrival.
            arrival = problem.arrival_s[call.workflow] / problem.times.grid_s
            tool[c] = max(0.0, call.release) - arrival
        for option in call.prefills:
            k = place[problem.kinds[option.p]]
            latency = max(option.lead, option.latency)
            prefill_s[c, k] = min(prefill_s[c, k], latency)
            prefill_work[c, k] = min(prefill_work[c, k], option.occupied)
        if not call.decodes:
            decode_s[c] = by_slots[c] = by_tokens[c] = 0.0
        for d, steps in call.decodes:
            k = place[problem.kinds[d]]
            span = steps + min(call.lag(option.p, d) for option in call.prefills)
            decode_s[c, k] = span
            by_slots[c, k] = span / problem.slots[d]
            by_tokens[c, k] = span * call.decode_kv / problem.decode_room[d]
    finite = np.isfinite(by_slots)
    scarcer = by_slots
    if by_tokens[finite].sum() > by_slots[finite].sum():
        scarcer = by_tokens
    unit = problem.times.grid_s * _REDUCED
    least: Floats = decode_s.min(axis=1)
    return Times(
        kinds=members,
        workflow=np.array([call.workflow for call in problem.calls], dtype=np.int64),
        parents=tuple(tuple(parent for parent, _ in call.parents) for call in problem.calls),
        tool_s=tool * problem.times.grid_s - 1e-9,
        steps=np.array([len(call.decodes) > 0 for call in problem.calls], dtype=np.int64),
        prefill_s=prefill_s * unit,
        prefill_work=prefill_work * unit,
        decode_s=decode_s * unit,
        decode_work=scarcer * unit,
        transfer_s=np.zeros((*shape, len(numbers))),
        rest_s=least * unit,
        prefill_held_s=prefill_work * unit,
    )


def relaxation_bound(problem: SchedulingProblem, time_limit_s: float) -> Bound:
    """Return the best bound on Req_q of every schedule: critical path, energy, preemptive LP."""
    percent = float(PERCENT[problem.objective])
    times = problem_times(problem)
    bounds = times_bounds(times, problem.arrival_s, problem.horizon_s, percent, time_limit_s)
    return best_bound(bounds, percent)
