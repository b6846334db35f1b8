"""From the projection to the window that CP-SAT gets."""

import numpy as np

from hexsolve.solver.online.projection.arrays import Bound, Choice, Floats, Frontier, Ints, Machines
from hexsolve.solver.online.projection.compiled import compiled
from hexsolve.solver.online.projection.decode import decode_pace
from hexsolve.solver.online.projection.prefill import marginal_seconds, pair_work, toll_seconds
from hexsolve.solver.online.projection.ready import compile_greedy
from hexsolve.solver.online.projection.rollout import Stakes
from hexsolve.solver.online.rolling.window import MILLISECOND, Option, Window, WindowCall

WINDOW_CALLS = 24
"""Most calls in a model: what 50 ms are enough for."""
OPTIONS = 4
SHARE_NEXT = 2 / 3
"""Share of the window for the calls that begin next; the rest for those in most danger."""
BATCHED = 4
"""Calls that share the fixed time of a prefill batch."""


def make_window(
    machines: Machines,
    bound: Bound,
    frontier: Frontier,
    free: Floats,
    stakes: Stakes,
    greedy: Choice,
    finish: Floats,
) -> Window | None:
    """Return the model's data, None if there is nothing to decide.

    Parameters
    ----------
    machines, bound, frontier, free, stakes
        As in `roll_out` and `score`.
    greedy : Choice
        The greedy plan: order of the window and hint.
    finish : (N + M,) array
        Its rollout.
    """
    rows = _selected(frontier, greedy, finish)
    if len(rows) < 2:
        return None
    pace, batch = decode_pace(machines, bound)
    calls = []
    for row in rows:
        options, hint = _options(machines, frontier, stakes.price, greedy, row, pace, batch)
        calls.append(
            WindowCall(
                row=row,
                workflow=int(stakes.workflow[row]),
                elapsed_ms=_ms(frontier.elapsed[row]),
                tokens=int(frontier.length[row] + frontier.steps[row]),
                options=tuple(options),
                hint=hint,
            )
        )
    room = machines.pool.copy()
    np.subtract.at(room, bound.decode, bound.context + bound.steps)
    planned = np.zeros(len(room), np.int64)
    for call in calls:
        planned[call.options[call.hint].decode] += call.tokens
    # Calls end meanwhile, so that the greedy plan may send more than there is room for now.
    room = np.maximum(room, planned)
    used = sorted({call.workflow for call in calls})
    flow = stakes.elapsed + finish
    ends = np.isfinite(finish)
    outside = ends.copy()
    outside[rows] = False
    floor = np.zeros(stakes.workflows)
    np.maximum.at(floor, stakes.workflow[outside], flow[outside])
    worst = np.full(stakes.workflows, -np.inf)
    np.maximum.at(worst, stakes.workflow[ends], (flow / stakes.horizon)[ends])
    horizon = np.zeros(stakes.workflows)
    np.maximum.at(horizon, stakes.workflow, stakes.horizon)
    low, middle, high = np.quantile(worst[np.isfinite(worst)], (0.25, 0.75, 0.95))
    return Window(
        calls=tuple(calls),
        free_ms={p: _ms(free[p]) for p in range(len(free))},
        room={d: int(room[d]) for d in range(len(room))},
        horizon_ms={w: max(1, _ms(horizon[w])) for w in used},
        floor_ms={w: _ms(floor[w]) for w in used if floor[w] > 0.0},
        thresholds=(float(low), float(middle), float(high)),
    )


def compile_window(machines: Machines) -> None:
    """Compile what `make_window` needs; see `compile_greedy`."""
    bound, frontier, _ = compile_greedy(machines)
    _pair_times(machines, frontier, 0.0, 0, *decode_pace(machines, bound))


def _ms(seconds: float) -> int:
    return max(0, round(float(seconds) / MILLISECOND))


def _selected(frontier: Frontier, greedy: Choice, finish: Floats) -> list[int]:
    """Return the rows of the window in greedy order."""
    placed = [int(row) for row in greedy.order if greedy.prefill[row] >= 0]
    if len(placed) <= WINDOW_CALLS:
        return placed
    position: dict[int, int] = {}
    seen: dict[int, int] = {}
    for row in placed:
        p = int(greedy.prefill[row])
        position[row] = seen.get(p, 0)
        seen[p] = position[row] + 1
    first = sorted(placed, key=lambda row: position[row])[: int(WINDOW_CALLS * SHARE_NEXT)]
    count = len(frontier.length)
    ratio = (frontier.elapsed + finish[:count]) / frontier.horizon
    chosen = set(first)
    for row in sorted(placed, key=lambda row: -ratio[row]):
        if len(chosen) == WINDOW_CALLS:
            break
        chosen.add(row)
    return [row for row in placed if row in chosen]


@compiled
def _pair_times(
    machines: Machines, frontier: Frontier, price: float, row: int, pace: Floats, batch: Ints
) -> tuple[Floats, Floats, Floats]:
    """Return a call's (P, D) seconds: prefill occupied, from then to completion, toll.

    Infinite where the pair cannot take the call.
    """
    occupied = np.full(machines.pairs.shape, np.inf)
    after = np.full(machines.pairs.shape, np.inf)
    toll = np.full(machines.pairs.shape, np.inf)
    servers, columns = machines.pairs.shape
    length, steps = frontier.length[row], frontier.steps[row]
    for p in range(servers):
        new = float(frontier.new[row, p])
        if new < 0.0:
            continue
        cost = machines.prefill_cost[p]
        work = pair_work(new, float(length))
        fixed = (cost[0] + cost[6]) / BATCHED
        for d in range(columns):
            missing = frontier.missing[row, d]
            if missing < 0 or not machines.pairs[p, d]:
                continue
            occupied[p, d] = marginal_seconds(cost, new, work) + fixed
            after[p, d] = toll[p, d] = 0.0
            if steps > 0:
                after[p, d] = machines.latency[p, d] + machines.transfer[p, d] * missing
                after[p, d] += steps * pace[d]
                cost_d = machines.decode_cost[d]
                toll[p, d] = steps * (cost_d[1] + cost_d[2] * length) * batch[d]
            toll[p, d] += price * toll_seconds(machines.toll_cost, new, work)
    return occupied, after, toll


def _options(
    machines: Machines,
    frontier: Frontier,
    price: float,
    greedy: Choice,
    row: int,
    pace: Floats,
    batch: Ints,
) -> tuple[list[Option], int]:
    """Return the greedy pair and the best others by their own time plus toll."""
    occupied, after, toll = _pair_times(machines, frontier, price, row, pace, batch)
    key = occupied + after + toll
    mine = (int(greedy.prefill[row]), int(greedy.decode[row]))
    key[mine] = -1.0
    # Stable: ties go to the lower prefill row, then to the lower decode column.
    best = np.argsort(key, axis=None, kind="stable")[:OPTIONS]
    columns = key.shape[1]
    options = [
        Option(p, d, max(1, _ms(occupied[p, d])), _ms(after[p, d]), _ms(toll[p, d]))
        for p, d in (divmod(int(index), columns) for index in best)
        if np.isfinite(key[p, d])
    ]
    return options, 0
