"""From the projection to the window that CP-SAT gets."""

from collections.abc import Sequence

import numpy as np

from hexsolve.solver.online.projection.arrays import Bound, Choice, Floats, Frontier, Machines
from hexsolve.solver.online.projection.decode import step_seconds
from hexsolve.solver.online.projection.prefill import marginal_seconds, pair_work, toll_seconds
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
    pace, batch = _decode_pace(machines, bound)
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
    inside = set(rows)
    floor: dict[int, int] = {}
    for row in range(len(finish)):
        if row not in inside and np.isfinite(finish[row]):
            w = int(stakes.workflow[row])
            floor[w] = max(floor.get(w, 0), _ms(stakes.elapsed[row] + finish[row]))
    used = {call.workflow for call in calls}
    worst: dict[int, float] = {}
    horizon: dict[int, int] = {}
    for row, seconds in enumerate(finish):
        w = int(stakes.workflow[row])
        if np.isfinite(seconds):
            ratio = (stakes.elapsed[row] + seconds) / stakes.horizon[row]
            worst[w] = max(worst.get(w, 0.0), float(ratio))
        if w in used:
            horizon[w] = max(horizon.get(w, 1), _ms(stakes.horizon[row]))
    low, middle, high = np.quantile(list(worst.values()), (0.25, 0.75, 0.95))
    return Window(
        calls=tuple(calls),
        free_ms={p: _ms(free[p]) for p in range(len(free))},
        room={d: int(room[d]) for d in range(len(room))},
        horizon_ms=horizon,
        floor_ms={w: value for w, value in floor.items() if w in used},
        thresholds=(float(low), float(middle), float(high)),
    )


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


def _decode_pace(machines: Machines, bound: Bound) -> tuple[list[float], list[int]]:
    """Return seconds per step for one more call, and calls, on each decode server."""
    batch = [0] * len(machines.pool)
    context = [0.0] * len(machines.pool)
    for d, tokens in zip(bound.decode.tolist(), bound.context.tolist(), strict=True):
        batch[d] += 1
        context[d] += tokens
    pace = [
        step_seconds(machines.decode_cost[d], batch[d] + 1.0, context[d]) for d in range(len(batch))
    ]
    return pace, batch


def _options(
    machines: Machines,
    frontier: Frontier,
    price: float,
    greedy: Choice,
    row: int,
    pace: Sequence[float],
    batch: Sequence[int],
) -> tuple[list[Option], int]:
    """Return the greedy pair and the best others by their own time plus toll."""
    length, steps = int(frontier.length[row]), int(frontier.steps[row])
    found: list[tuple[float, Option]] = []
    mine = (int(greedy.prefill[row]), int(greedy.decode[row]))
    servers, columns = machines.pairs.shape
    for p in range(servers):
        new = int(frontier.new[row, p])
        if new < 0:
            continue
        cost = machines.prefill_cost[p]
        work = pair_work(float(new), float(length))
        marginal = marginal_seconds(cost, float(new), work)
        occupied = marginal + float(cost[0] + cost[6]) / BATCHED
        for d in range(columns):
            missing = int(frontier.missing[row, d])
            if missing < 0 or not machines.pairs[p, d]:
                continue
            after = toll = 0.0
            if steps > 0:
                after = float(machines.latency[p, d] + machines.transfer[p, d] * missing)
                after += steps * pace[d]
                cost_d = machines.decode_cost[d]
                toll = steps * float(cost_d[1] + cost_d[2] * length) * batch[d]
            toll += price * toll_seconds(machines.toll_cost, float(new), work)
            option = Option(p, d, max(1, _ms(occupied)), _ms(after), _ms(toll))
            key = -1.0 if (p, d) == mine else occupied + after + toll
            found.append((key, option))
    found.sort(key=lambda pair: (pair[0], pair[1].prefill, pair[1].decode))
    return [option for _, option in found[:OPTIONS]], 0
