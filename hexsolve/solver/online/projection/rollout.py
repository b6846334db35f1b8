"""A complete plan rolled out on the projected cluster, its score, and local search on that."""

from typing import NamedTuple

import numpy as np

from hexsolve.solver.online.projection.arrays import Bound, Floats, Frontier, Ints, Machines
from hexsolve.solver.online.projection.compiled import compiled
from hexsolve.solver.online.projection.decode import INFINITY, segment_rows, simulate_decode
from hexsolve.solver.online.projection.prefill import batch_seconds, pair_work, toll_seconds


class Stakes(NamedTuple):
    """What the completions are worth: rows are the frontier's calls, then the bound ones."""

    workflow: Ints
    """(N + M,) index of the workflow, 0…W−1."""
    elapsed: Floats
    """(N + M,) as in `Frontier`."""
    horizon: Floats
    """(N + M,) as in `Frontier`."""
    workflows: int
    """W."""
    price: float
    """Toll on a marginal second of prefill; see `greedy`."""
    power: float
    """Exponent q of the penalty ``Σ_w R_w^q``."""


@compiled
def roll_out(
    machines: Machines,
    bound: Bound,
    frontier: Frontier,
    free: Floats,
    prefill: Ints,
    decode: Ints,
    order: Ints,
) -> Floats:
    """Return the projected completion of each frontier and bound call, (N + M,) s from now.

    Each prefill instance takes its calls in the given order, in batches under its token budget;
    all calls of a batch end together. Calls without a pair never complete.
    """
    count = len(frontier.length)
    servers, columns = machines.pairs.shape
    calls = count + len(bound.decode)
    joins = np.full(calls, INFINITY)
    context = np.zeros(calls, np.int64)
    steps = np.zeros(calls, np.int64)
    finish = np.full(calls, INFINITY)
    context[:count], steps[:count] = frontier.length, frontier.steps
    joins[count:], context[count:], steps[count:] = bound.joins, bound.context, bound.steps
    place = np.full(calls, -1, np.int64)
    place[count:] = bound.decode
    batch = np.zeros(max(1, count), np.int64)
    for p in range(servers):
        begin = free[p]
        tokens = work = 0.0
        members = 0
        for index in range(count + 1):
            closing = index == count
            new = 0.0
            if not closing:
                c = order[index]
                if prefill[c] != p:
                    continue
                new = float(frontier.new[c, p])
            if members > 0 and (
                closing
                or tokens + new > machines.token_budget[p]
                or members >= machines.most_calls[p]
            ):
                span = batch_seconds(machines.prefill_cost[p], tokens, work)
                for member in range(members):
                    b = batch[member]
                    d = decode[b]
                    if steps[b] > 0:
                        joins[b] = (
                            begin
                            + span
                            + machines.latency[p, d]
                            + machines.transfer[p, d] * frontier.missing[b, d]
                        )
                        place[b] = d
                    else:
                        finish[b] = begin + span
                begin += span / machines.stages[p]
                tokens = work = 0.0
                members = 0
            if not closing:
                tokens += new
                work += pair_work(new, float(frontier.length[c]))
                batch[members] = c
                members += 1
    by_join = np.argsort(joins, kind="mergesort")
    jobs = np.zeros(calls, np.int64)
    segments = np.zeros((segment_rows(calls), 5))
    active = np.zeros(calls, np.int64)
    for d in range(columns):
        jobs_count = 0
        for row in by_join:
            if place[row] == d:
                jobs[jobs_count] = row
                jobs_count += 1
        simulate_decode(
            machines.decode_cost[d], machines.pool[d], machines.most_batch[d],
            jobs, jobs_count, joins, context, steps, finish, segments, active,
        )  # fmt: skip
    return finish


@compiled
def score(
    machines: Machines, frontier: Frontier, stakes: Stakes, prefill: Ints, finish: Floats
) -> float:
    """Return ``Σ_w R_w^q``, R_w the largest projected ratio of a call of w, tolls included.

    A high power makes the worst workflows count: with q = 12 one whose ratio is 6 % above another's
    weighs twice as much. It is convex, so it also prefers to spread a delay.

    Tolled is the prefill work that could be avoided, over that on the server which has most of the
    prompt cached. What no placement avoids is no reason to take a workflow for endangered: with the
    whole toll in R those with long new prompts came before others that were late in fact.
    """
    count = len(frontier.length)
    servers = frontier.new.shape[1]
    worst = np.zeros(stakes.workflows)
    for row in range(len(finish)):
        seconds = stakes.elapsed[row] + finish[row]
        if row < count and prefill[row] >= 0 and stakes.price > 0.0:
            new = least = frontier.new[row, prefill[row]]
            for p in range(servers):
                if 0 <= frontier.new[row, p] < least:
                    least = frontier.new[row, p]
            if new > least:
                length = float(frontier.length[row])
                seconds += stakes.price * (
                    toll_seconds(machines.toll_cost, float(new), pair_work(float(new), length))
                    - toll_seconds(
                        machines.toll_cost, float(least), pair_work(float(least), length)
                    )
                )
        if seconds < INFINITY:
            w = stakes.workflow[row]
            worst[w] = max(worst[w], seconds / stakes.horizon[row])
    return float(np.sum(worst**stakes.power))


@compiled
def improve(
    machines: Machines,
    bound: Bound,
    frontier: Frontier,
    free: Floats,
    stakes: Stakes,
    prefill: Ints,
    decode: Ints,
    order: Ints,
    moves: int,
    seed: int,
) -> tuple[Ints, Ints, Ints, Floats, float, int]:
    """Return (prefill, decode, order, finish, score, accepted moves) after a local search.

    A move takes one call to another place in the order, or to another pair, or both; it is kept if
    the score of the whole plan's rollout falls. A call never leaves what is cached of its prompt:
    the rollout does not see the calls that are still to be revealed, which would pay for that.
    Calls near the front move most: what comes late will be planned again before it begins.
    Deterministic in `seed`. Cost: one rollout a move.
    """
    count = len(order)
    servers, columns = machines.pairs.shape
    prefill, decode, order = prefill.copy(), decode.copy(), order.copy()
    ends = roll_out(machines, bound, frontier, free, prefill, decode, order)
    best = score(machines, frontier, stakes, prefill, ends)
    accepted = 0
    if count < 1:
        return prefill, decode, order, ends, best, accepted
    state = np.uint64(seed * 2 + 1)
    trial = order.copy()
    for _ in range(moves):
        draws = np.zeros(5)
        for k in range(5):
            state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
            draws[k] = float(state >> np.uint64(11)) / 9007199254740992.0
        source = int(count * draws[0] * draws[0])
        target = int(count * draws[1] * draws[1])
        c = order[source]
        if prefill[c] < 0:
            continue
        old_p, old_d = prefill[c], decode[c]
        if draws[2] < 0.6:
            p = int(servers * draws[3])
            d = int(columns * draws[4])
            if draws[2] < 0.2:
                p = old_p
            elif draws[2] < 0.4:
                d = old_d
            if (
                not machines.pairs[p, d]
                or frontier.new[c, p] < 0
                or frontier.missing[c, d] < 0
                or (p == old_p and d == old_d)
                or frontier.new[c, p] > frontier.new[c, old_p]
            ):
                continue
            prefill[c], decode[c] = p, d
            if draws[2] >= 0.3:
                target = source
        elif source == target:
            continue
        trial[:] = order
        if target > source:
            trial[source:target] = order[source + 1 : target + 1]
        elif target < source:
            trial[target + 1 : source + 1] = order[target:source]
        trial[target] = c
        finish = roll_out(machines, bound, frontier, free, prefill, decode, trial)
        value = score(machines, frontier, stakes, prefill, finish)
        if value < best * (1.0 - 1e-9):
            best = value
            ends = finish
            order[:] = trial
            accepted += 1
        else:
            prefill[c], decode[c] = old_p, old_d
    return prefill, decode, order, ends, best, accepted
