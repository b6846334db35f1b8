"""The HexAGenT rule on projected queues: who goes where, in which order."""

import numpy as np

from hexsolve.solver.online.projection.arrays import Bound, Choice, Floats, Frontier, Ints, Machines
from hexsolve.solver.online.projection.compiled import compiled
from hexsolve.solver.online.projection.decode import (
    INFINITY,
    one_more,
    segment_rows,
    simulate_decode,
)
from hexsolve.solver.online.projection.prefill import batch_seconds, pair_work, toll_seconds


@compiled
def greedy(
    machines: Machines,
    bound: Bound,
    frontier: Frontier,
    free: Floats,
    iterate_up_to: int,
    price: float,
) -> Choice:
    """Commit the frontier's calls by the largest projected ratio R, each to its best pair.

    ``R(c) = (elapsed_c + Δ_c) / H_c`` with Δ_c the earliest projected completion over all pairs
    (arXiv 2605.16637). After each commitment the projection is renewed, and the calls whose best
    pair it touched are scored again; those whose pair it did not touch keep it, since load seldom
    makes another pair faster (it does where a call that waits for KV is overtaken, say).

    Parameters
    ----------
    machines, bound, frontier
        The cluster, the calls under way, the calls to place.
    free : (P,) array
        Seconds until each prefill server can start its next batch.
    price : float
        What a second of prefill costs besides the call's own delay: a call goes where completion +
        toll is least, ``toll = price · (marginal prefill seconds on the mean server)``. 0 is the
        paper's rule; with m calls waiting behind, each second that a cache hit saves on the
        instance spares them m.
    iterate_up_to : int
        With a longer frontier calls are ordered once, by their first R. Cost for n calls, S = P·D
        pairs and s segments of projected decoding: O(n²·S·s) at worst when iterated, O(n·S·s) else.
    """
    count = len(frontier.length)
    servers, columns = machines.pairs.shape
    calls = count + len(bound.decode)
    # Rows 0…N−1 are the frontier, then the bound calls.
    joins = np.zeros(calls)
    context = np.zeros(calls, np.int64)
    steps = np.zeros(calls, np.int64)
    ends = np.zeros(calls)
    context[:count], steps[:count] = frontier.length, frontier.steps
    joins[count:], context[count:], steps[count:] = bound.joins, bound.context, bound.steps
    jobs = np.zeros((columns, calls), np.int64)
    jobs_count = np.zeros(columns, np.int64)
    segments = np.zeros((columns, segment_rows(calls), 5))
    segments_count = np.zeros(columns, np.int64)
    active = np.zeros(calls, np.int64)
    for row in range(count, calls):
        _insert(jobs, jobs_count, bound.decode[row - count], row, joins)
    for d in range(columns):
        segments_count[d] = simulate_decode(
            machines.decode_cost[d], machines.pool[d], machines.most_batch[d], jobs[d],
            jobs_count[d], joins, context, steps, ends, segments[d], active,
        )  # fmt: skip

    begin = free.copy()
    tokens = np.zeros(servers)
    work = np.zeros(servers)
    members = np.zeros(servers, np.int64)

    best_p = np.full(count, -1, np.int64)
    best_d = np.full(count, -1, np.int64)
    best = np.full(count, INFINITY)
    order = np.full(count, -1, np.int64)
    committed = np.zeros(count)
    stale = np.ones(count, np.bool_)
    open_ = np.ones(count, np.bool_)
    ratio = np.zeros(count)
    iterate = count <= iterate_up_to
    once = np.zeros(count, np.int64)
    for place in range(count):
        if iterate or place == 0:
            for c in range(count):
                if open_[c] and stale[c]:
                    best_p[c], best_d[c], best[c] = _best_pair(
                        machines, frontier, c, begin, tokens, work, members,
                        segments, segments_count, price,
                    )  # fmt: skip
                    stale[c] = False
                    ratio[c] = (frontier.elapsed[c] + best[c]) / frontier.horizon[c]
        if not iterate and place == 0:
            once = np.argsort(-ratio, kind="mergesort")
        chosen = -1
        if iterate:
            for c in range(count):
                if open_[c] and (chosen < 0 or ratio[c] > ratio[chosen]):
                    chosen = c
        else:
            chosen = once[place]
            best_p[chosen], best_d[chosen], best[chosen] = _best_pair(
                machines,
                frontier,
                chosen,
                begin,
                tokens,
                work,
                members,
                segments,
                segments_count,
                price,
            )
        order[place] = chosen
        open_[chosen] = False
        committed[place] = (frontier.elapsed[chosen] + best[chosen]) / frontier.horizon[chosen]
        p, d = best_p[chosen], best_d[chosen]
        if p < 0:
            continue
        new = float(frontier.new[chosen, p])
        if members[p] > 0 and (
            tokens[p] + new > machines.token_budget[p] or members[p] >= machines.most_calls[p]
        ):
            begin[p] += (
                batch_seconds(machines.prefill_cost[p], tokens[p], work[p]) / machines.stages[p]
            )
            tokens[p] = work[p] = 0.0
            members[p] = 0
        tokens[p] += new
        work[p] += pair_work(new, float(frontier.length[chosen]))
        members[p] += 1
        if steps[chosen] > 0:
            joins[chosen] = (
                begin[p]
                + batch_seconds(machines.prefill_cost[p], tokens[p], work[p])
                + machines.latency[p, d]
                + machines.transfer[p, d] * frontier.missing[chosen, d]
            )
            _insert(jobs, jobs_count, d, chosen, joins)
            segments_count[d] = simulate_decode(
                machines.decode_cost[d], machines.pool[d], machines.most_batch[d], jobs[d],
                jobs_count[d], joins, context, steps, ends, segments[d], active,
            )  # fmt: skip
        if iterate:
            for c in range(count):
                if open_[c] and (best_p[c] == p or best_d[c] == d):
                    stale[c] = True
    return Choice(best_p, best_d, order, best, committed)


@compiled
def _insert(jobs: Ints, counts: Ints, column: int, row: int, joins: Floats) -> None:
    """Insert `row` into the jobs of a decode server, by the time it joins."""
    index = counts[column]
    counts[column] += 1
    while index > 0 and joins[jobs[column, index - 1]] > joins[row]:
        jobs[column, index] = jobs[column, index - 1]
        index -= 1
    jobs[column, index] = row


@compiled
def _best_pair(
    machines: Machines,
    frontier: Frontier,
    c: int,
    begin: Floats,
    tokens: Floats,
    work: Floats,
    members: Ints,
    segments: Floats,
    segments_count: Ints,
    price: float,
) -> tuple[int, int, float]:
    """Return (p, d, completion) of the pair with the least completion + toll; ties: lower p, d."""
    servers, columns = machines.pairs.shape
    chosen_p, chosen_d, least, completion = -1, -1, INFINITY, INFINITY
    length, steps = frontier.length[c], frontier.steps[c]
    for p in range(servers):
        if frontier.new[c, p] < 0:
            continue
        new = float(frontier.new[c, p])
        mine = pair_work(new, float(length))
        cost = machines.prefill_cost[p]
        if members[p] > 0 and (
            tokens[p] + new > machines.token_budget[p] or members[p] >= machines.most_calls[p]
        ):
            end = (
                begin[p]
                + batch_seconds(cost, tokens[p], work[p]) / machines.stages[p]
                + batch_seconds(cost, new, mine)
            )
        else:
            end = begin[p] + batch_seconds(cost, tokens[p] + new, work[p] + mine)
        toll = price * toll_seconds(machines.toll_cost, new, mine)
        if end + toll >= least:
            continue
        for d in range(columns):
            if not machines.pairs[p, d] or frontier.missing[c, d] < 0:
                continue
            finish = end
            if steps > 0:
                joins = (
                    end + machines.latency[p, d] + machines.transfer[p, d] * frontier.missing[c, d]
                )
                cost_d = machines.decode_cost[d]
                # A pair that would lose even with the decode server to itself.
                if joins + steps * (cost_d[0] + cost_d[1] + cost_d[2] * length) + toll >= least:
                    continue
                finish = one_more(
                    cost_d, machines.pool[d], machines.most_batch[d],
                    segments[d], segments_count[d], joins, length, steps,
                )  # fmt: skip
            if finish + toll < least:
                chosen_p, chosen_d, least, completion = p, d, finish + toll, finish
    return chosen_p, chosen_d, completion
