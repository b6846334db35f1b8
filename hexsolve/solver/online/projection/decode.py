"""Projected decoding: continuous batching on one server, and what one more call would take.

The numbers are those of the simulator up to three simplifications: calls join exactly when their
KV is there (not at the next step boundary but one), admission is in order of arrival, and the
context of a stretch of steps without joins and ends grows in its closed form.
"""

import numpy as np

from hexsolve.solver.online.projection.arrays import Bound, Floats, Ints, Machines
from hexsolve.solver.online.projection.compiled import compiled

INFINITY = np.inf


@compiled
def step_seconds(cost: Floats, batch: float, context: float) -> float:
    """Return ``d0 + d1·B + d2·C + d3·(1 − (1 − share)^B)``, s."""
    seconds = cost[0] + cost[1] * batch + cost[2] * context
    if cost[3] > 0.0:
        seconds += cost[3] * (1.0 - (1.0 - cost[4]) ** batch)
    return float(seconds)


@compiled
def segment_rows(count: int) -> int:
    """Return how many segments `simulate_decode` writes of `count` calls at most.

    Each call ends one stretch, and its join begins two at most: the steps that lead to it can fall
    short by a rounding error, so that one more is a stretch of its own; or a gap with no batch. The
    last segment has no end.
    """
    return 3 * count + 2


@compiled
def simulate_decode(
    cost: Floats,
    pool: int,
    most: int,
    jobs: Ints,
    count: int,
    joins: Floats,
    context: Ints,
    steps: Ints,
    finish: Floats,
    segments: Floats,
    active: Ints,
) -> int:
    """Let `count` calls decode on one server; return the number of segments.

    Parameters
    ----------
    cost : (5,) array
        `Machines.decode_cost` of the server.
    pool, most : int
        Tokens of KV; calls at once.
    jobs : array
        Rows of the calls, by the time they join; the first `count` count.
    joins, context, steps : arrays over rows
        As in `Bound`.
    finish : array over rows
        Is given the completion of each job, s from now.
    segments : (`segment_rows`, 5) array
        Is given stretches with a constant batch: begin s, batch, context at begin, tokens promised,
        seconds per step at begin. The last one has batch 0 and no end.
    active : array
        Scratch.
    """
    now = 0.0
    following = 0
    batch = 0
    held = 0
    promised = 0
    done = 0
    written = 0
    while following < count or batch > 0:
        while following < count:
            job = jobs[following]
            need = context[job] + steps[job]
            if joins[job] > now or (batch > 0 and (batch >= most or promised + need > pool)):
                break
            # `finish` holds the step at which it ends until that is reached.
            finish[job] = done + steps[job]
            active[batch] = job
            batch += 1
            held += context[job]
            promised += need
            following += 1
        if batch == 0:
            segments[written, 0] = now
            segments[written, 1:] = 0.0
            written += 1
            now = joins[jobs[following]]
            continue
        first = INFINITY
        for index in range(batch):
            first = min(first, finish[active[index]])
        ahead = int(first) - done
        step = step_seconds(cost, batch, held)
        growth = cost[2] * batch
        if following < count and joins[jobs[following]] > now:
            until = int(np.ceil((joins[jobs[following]] - now) / step))
            ahead = min(ahead, max(1, until))
        segments[written, 0] = now
        segments[written, 1] = batch
        segments[written, 2] = held
        segments[written, 3] = promised
        segments[written, 4] = step
        written += 1
        now += ahead * step + growth * ahead * (ahead - 1) / 2.0
        done += ahead
        held += ahead * batch
        index = 0
        while index < batch:
            job = active[index]
            if finish[job] <= done:
                finish[job] = now
                held -= context[job] + steps[job]
                promised -= context[job] + steps[job]
                batch -= 1
                active[index] = active[batch]
            else:
                index += 1
    segments[written, 0] = now
    segments[written, 1:] = 0.0
    return written + 1


@compiled
def one_more(
    cost: Floats,
    pool: int,
    most: int,
    segments: Floats,
    count: int,
    joins: float,
    context: int,
    steps: int,
) -> float:
    """Return when a call completes that joins the projected batches at `joins`, s from now.

    It waits for the first segment with room for its KV and runs through the segments at the pace of
    their batch plus itself. What it costs the others is not part of the answer.
    """
    need = context + steps
    left = float(steps)
    held = float(context)
    now = joins
    first, beyond = 0, count - 1
    while first < beyond:
        middle = (first + beyond) // 2
        if segments[middle + 1, 0] <= joins:
            first = middle + 1
        else:
            beyond = middle
    for index in range(first, count):
        last = index == count - 1
        end = INFINITY if last else segments[index + 1, 0]
        if end <= now:
            continue
        batch = segments[index, 1]
        if left == steps and batch > 0 and (segments[index, 3] + need > pool or batch >= most):
            now = end
            continue
        begin = segments[index, 0]
        step = segments[index, 4]
        others = segments[index, 2]
        if step > 0.0 and begin < now:
            others += batch * (now - begin) / step
        pace = step_seconds(cost, batch + 1.0, others + held)
        if last:
            # Alone until the end; its own context grows.
            return float(now + left * pace + cost[2] * left * max(0.0, left - 1.0) / 2.0)
        taken = (end - now) / pace
        if taken >= left:
            return float(now + left * pace)
        left -= taken
        held += taken
        now = end
    return now


def decode_pace(machines: Machines, bound: Bound) -> tuple[Floats, Ints]:
    """Return (D,) seconds per step for one more call, and (D,) calls, on each decode server."""
    count = len(machines.pool)
    batch = np.bincount(bound.decode, minlength=count).astype(np.int64)
    context = np.bincount(bound.decode, bound.context, count).astype(np.float64)
    pace = [step_seconds(machines.decode_cost[d], batch[d] + 1.0, context[d]) for d in range(count)]
    return np.array(pace, np.float64), batch
