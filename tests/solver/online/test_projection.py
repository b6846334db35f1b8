"""The projection against the simulator, and the greedy rule against a readable version of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.models.workflow import Call
from hexsolve.solver.online.projection.arrays import Bound, Frontier, Machines
from hexsolve.solver.online.projection.decode import one_more, segment_rows, simulate_decode
from hexsolve.solver.online.projection.greedy import greedy
from hexsolve.solver.online.projection.rollout import Stakes, improve, roll_out, score
from hexsolve.solver.online.projection.snapshot import (
    CacheRows,
    bound_calls,
    free_seconds,
    frontier_of,
    machines_of,
)
from hexsolve.solver.online.registry import make_policy
from tests.simulation.engines import cluster
from tests.solver.online.probe import Probe, first_pair, simulate, workflow

DECODE = np.array([0.01, 0.001, 1e-6, 0.0, 0.0])


def decode_alone(joins, context, steps, pool=10**9, most=100):
    """Completion of calls on one decode server, as projected."""
    count = len(joins)
    order = np.argsort(joins, kind="stable")
    finish = np.zeros(count)
    segments = np.zeros((segment_rows(count), 5))
    used = simulate_decode(
        DECODE, pool, most, order, count, np.array(joins, float), np.array(context, np.int64),
        np.array(steps, np.int64), finish, segments, np.zeros(count, np.int64),
    )  # fmt: skip
    return finish, segments, used


def no_bound():
    empty = np.zeros(0, np.int64)
    return Bound(empty, np.zeros(0), empty, empty)


def test_one_call_decodes_in_its_closed_form():
    finish, segments, used = decode_alone([0.5], [100], [9])
    assert finish[0] == pytest.approx(0.5 + 9 * 0.011 + 936e-6)
    assert segments[used - 1, 1] == 0.0


def test_a_full_pool_lets_the_second_wait():
    finish, _, _ = decode_alone([0.0, 0.0], [100, 100], [10, 10], pool=150)
    assert finish[1] == pytest.approx(2 * finish[0])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.0, 2.0), st.integers(1, 500), st.integers(1, 80)),
        min_size=1,
        max_size=8,
    )
)
def test_one_more_is_what_joining_would_give(jobs):
    """Asked what it would take, the last call is told nearly what happens when it is there."""
    joins, context, steps = (list(column) for column in zip(*sorted(jobs), strict=True))
    finish, _, _ = decode_alone(joins, context, steps)
    _, segments, used = decode_alone(joins[:-1], context[:-1], steps[:-1])
    if len(joins) == 1:
        segments, used = np.zeros((1, 5)), 1
    told = one_more(DECODE, 10**9, 100, segments, used, joins[-1], context[-1], steps[-1])
    # It slows the others down, who then share its steps for longer; a few per cent.
    assert told == pytest.approx(finish[-1], rel=0.08, abs=0.03)


class AtOnce(Probe):
    """Projects a burst at its reveal and keeps what was promised."""

    def __init__(self) -> None:
        super().__init__(first_pair)
        self.promised = {}

    def place(self, view, ready):
        machines = machines_of(view)
        rows = CacheRows(view, machines)
        frontier = frontier_of(ready, rows, [0.0] * len(ready), [1.0] * len(ready))
        bound, _ = bound_calls(view, machines)
        zeros = np.zeros(len(ready), np.int64)
        finish = roll_out(
            machines, bound, frontier, free_seconds(view, machines), zeros, zeros,
            np.arange(len(ready)),
        )  # fmt: skip
        for call, seconds in zip(ready, finish, strict=False):
            self.promised[call.number] = view.now_s + seconds
        yield from super().place(view, ready)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 40)), min_size=1, max_size=8),
    st.integers(0, 3),
)
def test_a_rollout_of_a_burst_is_what_the_simulator_does(sizes, budget):
    on = cluster(
        transfer_latency_s=0.002,
        instance_options={"token_budget": [1, 2000, 4000, 8192][budget], "nic_bandwidth": 1e12},
    )
    policy = AtOnce()
    flows = [workflow(Call(*size), name=f"w{index}") for index, size in enumerate(sizes)]
    record = simulate(on, flows, policy)
    for number in range(len(sizes)):
        # All arrive at 0 and are seen together; joining waits for a step boundary at most.
        assert policy.promised[number] == pytest.approx(record.finish[number], rel=0.05, abs=0.06)


def random_case(rng, calls, servers, columns):
    pairs = np.ones((servers, columns), np.bool_)
    machines = Machines(
        np.arange(servers),
        np.arange(columns) + servers,
        np.column_stack(
            [
                rng.uniform(0, 0.01, servers), rng.uniform(1e-5, 1e-4, servers),
                np.zeros((servers, 5)), np.ones(servers),
            ]
        ),
        np.full(servers, 4096),
        np.full(servers, 64),
        np.ones(servers, np.int64),
        np.tile(DECODE, (columns, 1)) * rng.uniform(0.5, 2, (columns, 1)),
        np.full(columns, 10**6),
        np.full(columns, 64),
        pairs,
        np.array([5e-5, 0.0]),
        np.full((servers, columns), 1e-7),
        np.full((servers, columns), 0.005),
    )  # fmt: skip
    length = rng.integers(100, 4000, calls)
    frontier = Frontier(
        length,
        rng.integers(0, 100, calls),
        np.minimum(rng.integers(1, 4000, (calls, servers)), length[:, None]),
        np.minimum(rng.integers(0, 4000, (calls, columns)), length[:, None]),
        rng.uniform(0, 5, calls),
        rng.uniform(0.5, 5, calls),
    )
    return machines, frontier, rng.uniform(0, 0.5, servers)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_greedy_commits_the_largest_ratio_to_the_earliest_completion(seed):
    """The first commitment against rollouts of each call on each pair."""
    rng = np.random.default_rng(seed)
    machines, frontier, free = random_case(rng, 4, 2, 2)
    choice = greedy(machines, no_bound(), frontier, free, 100, 0.0)
    first = int(choice.order[0])
    best = np.full(4, np.inf)
    for c in range(4):
        for p in range(2):
            for d in range(2):
                prefill, decode = np.full(4, -1), np.full(4, -1)
                prefill[c], decode[c] = p, d
                order = np.array([c] + [row for row in range(4) if row != c])
                done = roll_out(machines, no_bound(), frontier, free, prefill, decode, order)
                best[c] = min(best[c], done[c])
    ratio = (frontier.elapsed + best) / frontier.horizon
    assert first == int(np.argmax(ratio))
    assert choice.finish[first] == pytest.approx(best[first])
    assert sorted(choice.order.tolist()) == [0, 1, 2, 3]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_sorting_once_keeps_the_first_ratios_order(seed):
    machines, frontier, free = random_case(np.random.default_rng(seed), 12, 3, 2)
    once = greedy(machines, no_bound(), frontier, free, 0, 0.0)
    alone = []
    for c in range(12):
        only = Frontier(*(column[c : c + 1] for column in frontier))
        finish = greedy(machines, no_bound(), only, free, 0, 0.0).finish[0]
        alone.append((frontier.elapsed[c] + finish) / frontier.horizon[c])
    assert once.order.tolist() == np.argsort(-np.array(alone), kind="stable").tolist()


def test_what_a_commitment_touched_is_scored_again():
    """Of two equal calls the second goes where the first is not."""
    machines, frontier, _ = random_case(np.random.default_rng(1), 2, 2, 2)
    equal = Frontier(*(np.repeat(column[:1], 2, axis=0) for column in frontier))
    equal = equal._replace(new=np.full((2, 2), 2000), length=np.full(2, 2000))
    twins = machines._replace(prefill_cost=np.repeat(machines.prefill_cost[:1], 2, axis=0))
    choice = greedy(twins, no_bound(), equal, np.zeros(2), 100, 0.0)
    assert sorted(choice.prefill.tolist()) == [0, 1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_local_search_never_makes_a_plan_worse(seed):
    rng = np.random.default_rng(seed)
    machines, frontier, free = random_case(rng, 10, 3, 3)
    stakes = Stakes(rng.integers(0, 4, 10), frontier.elapsed, frontier.horizon, 4, 0.3, 12.0)
    base = greedy(machines, no_bound(), frontier, free, 100, 0.3)
    plan = base.prefill, base.decode, base.order
    before = score(
        machines, frontier, stakes, base.prefill,
        roll_out(machines, no_bound(), frontier, free, *plan),
    )  # fmt: skip
    p, d, order, _, after, _ = improve(
        machines, no_bound(), frontier, free, stakes, *plan, 200, seed
    )
    again = score(
        machines, frontier, stakes, p, roll_out(machines, no_bound(), frontier, free, p, d, order)
    )
    assert after == again <= before
    assert sorted(order.tolist()) == list(range(10))
    rows = np.arange(10)
    # What is cached of a prompt is never left.
    assert (frontier.new[rows, p] <= frontier.new[rows, base.prefill]).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_only_prefill_that_a_placement_could_avoid_is_tolled(seed):
    """Against the definition, call by call; what nothing avoids leaves the score as it is."""
    rng = np.random.default_rng(seed)
    machines, frontier, _ = random_case(rng, 6, 3, 2)
    machines.toll_cost[:] = 5e-5, 1e-9
    frontier.new[0, 1] = -1
    finish = rng.uniform(0.1, 3, 6)
    workflow_of = np.array([0, 0, 1, 2, 2, 3])
    ends = frontier.elapsed + finish

    def scored(prefill, price):
        stakes = Stakes(workflow_of, frontier.elapsed, frontier.horizon, 4, price, 12.0)
        return score(machines, frontier, stakes, prefill, finish)

    open_to = np.where(frontier.new >= 0, frontier.new, 10**9)
    cached = open_to.argmin(axis=1)
    assert scored(cached, 4.0) == scored(cached, 0.0)

    prefill = rng.integers(0, 3, 6)
    prefill[0] = 2

    def seconds(new, length):
        return 5e-5 * new + 1e-9 * new * (length - new / 2)

    worst = [0.0] * 4
    for c, length in enumerate(frontier.length):
        toll = seconds(frontier.new[c, prefill[c]], length) - seconds(open_to[c].min(), length)
        ratio = (ends[c] + 4.0 * toll) / frontier.horizon[c]
        worst[workflow_of[c]] = max(worst[workflow_of[c]], ratio)
    assert scored(prefill, 4.0) == pytest.approx(sum(ratio**12 for ratio in worst))


def test_a_long_new_prompt_alone_puts_no_workflow_before_one_that_is_late():
    """A price on work that has to be done anyway must not turn the order around."""
    machines, frontier, _ = random_case(np.random.default_rng(0), 2, 1, 1)
    machines.prefill_cost[:] = 0.0
    machines.prefill_cost[:, 1] = 1e-4
    machines.prefill_cost[:, 7] = 1.0
    machines.toll_cost[:] = 1e-4, 0.0
    machines.token_budget[:] = 1
    frontier.length[:] = frontier.new[:, 0] = 1000, 4000
    frontier.steps[:] = 0
    frontier.elapsed[:], frontier.horizon[:] = (3.0, 1.0), 1.0
    stakes = Stakes(np.arange(2), frontier.elapsed, frontier.horizon, 2, 10.0, 12.0)
    zeros, free = np.zeros(2, np.int64), np.zeros(1)
    _, _, order, _, _, _ = improve(
        machines, no_bound(), frontier, free, stakes, zeros, zeros, np.array([1, 0]), 50, 0
    )
    assert order.tolist() == [0, 1]


def test_a_price_keeps_a_call_where_its_prompt_is_cached():
    """0.1 s of queue at the cache against 0.09 s of prefill elsewhere: the toll decides."""
    machines, frontier, _ = random_case(np.random.default_rng(0), 1, 2, 1)
    machines.prefill_cost[:] = 0.0
    machines.prefill_cost[:, 1] = 1e-4
    machines.prefill_cost[:, 7] = 1.0
    machines.toll_cost[:] = 1e-4, 0.0
    frontier.length[0], frontier.steps[0] = 1000, 0
    frontier.new[0] = [100, 900 + 1]
    free = np.array([0.1, 0.0])
    assert greedy(machines, no_bound(), frontier, free, 9, 0.0).prefill[0] == 1
    assert greedy(machines, no_bound(), frontier, free, 9, 1.0).prefill[0] == 0


def test_a_price_does_not_drive_calls_from_slow_servers():
    """Nothing is cached: 0.2 s on the slow server against 0.15 s of queue and 0.1 s on the fast."""
    machines, frontier, _ = random_case(np.random.default_rng(0), 1, 2, 1)
    machines.prefill_cost[:] = 0.0
    machines.prefill_cost[:, 1] = 1e-4, 2e-4
    machines.prefill_cost[:, 7] = 1.0
    machines.toll_cost[:] = 1.5e-4, 0.0
    frontier.length[0], frontier.steps[0] = 1000, 0
    frontier.new[0] = 1000
    free = np.array([0.15, 0.0])
    for price in (0.0, 1.0, 9.0):
        assert greedy(machines, no_bound(), frontier, free, 9, price).prefill[0] == 1


def test_hexagent_moves_a_queued_call_when_something_better_turns_up():
    """The call in most danger takes the place in line that the last one had been given."""
    on = cluster(prefills=2, decodes=1, instance_options={"nic_bandwidth": 1e9})
    flows = [
        workflow(Call(4000, 1), name="a"),
        workflow(Call(3000, 1), name="b"),
        workflow(Call(8000, 1), arrival=0.1, name="c"),
        workflow(Call(500, 1), arrival=0.2, name="d"),
    ]
    record = simulate(on, flows, make_policy("hexagent"))
    # Alone d takes 0.5 s and c 8 s: d has the larger R, though c was first in line at 3 s.
    assert record.finish[3] == pytest.approx(3.5, abs=0.01)
    assert record.finish[2] == pytest.approx(11.5, abs=0.6)
