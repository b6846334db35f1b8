"""The relaxation with chains, against runs of the simulator and schedules of the model."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.solver.optimum.bounds import simulator_times
from hexsolve.solver.optimum.bounds.chain_lp import ChainLP, ChainPrices, proves_with_chains
from hexsolve.solver.optimum.bounds.chains import find_chains, partition
from hexsolve.solver.optimum.bounds.energy import Energy
from hexsolve.solver.optimum.bounds.items import Question, ask
from hexsolve.solver.optimum.bounds.preemptive import Preemptive
from hexsolve.solver.optimum.relaxation import problem_times
from hexsolve.solver.optimum.timetable import value
from tests.solver.optimum.bounds.sweep import runs, scenario
from tests.solver.optimum.instances import list_schedule, problem_of, random_instance


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_chains_are_a_partition_into_calls_that_follow_one_another(seed: int) -> None:
    cluster, workflows = scenario(seed)
    times = simulator_times(cluster, workflows, 0)
    chain = partition(times, times.call_s)
    assert chain.min() == 0
    above: list[set[int]] = []
    for parents in times.parents:
        above.append(set(parents).union(*(above[parent] for parent in parents)))
    for number in range(int(chain.max()) + 1):
        members = np.flatnonzero(chain == number).tolist()
        assert members
        for before, after in pairwise(members):
            assert before in above[after]


def any_prices(question: Question, seed: int, draw: int) -> ChainPrices:
    rng = np.random.default_rng([seed, draw])
    chains = find_chains(question)
    end = float(question.ends(2.0).max())
    edges = np.unique(rng.uniform(-1.0, end, size=rng.integers(2, 8)))
    machine = rng.exponential(size=(len(question.times.kinds), edges.size - 1))
    machine *= rng.random(machine.shape) < 0.6
    chain = rng.exponential(size=(chains.workflow.size, edges.size - 1))
    chain *= rng.random(chain.shape) < rng.random()
    return ChainPrices(edges, machine, chain * rng.exponential())


@given(st.integers(0, 10_000), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_no_prices_whatever_refute_what_a_run_achieves(seed: int, draw: int) -> None:
    cluster, workflows, horizons, made = runs(seed, ("hexagent", "workflow-fcfs"))
    times = simulator_times(cluster, workflows, 0)
    question = ask(times, [each.arrival_s for each in workflows], horizons, 95.0)
    chains = find_chains(question)
    for _, restarts, ratios in made:
        if restarts:
            continue
        reached = float(np.sort(ratios)[ratios.size - question.dropped - 1]) * (1 + 1e-9)
        for number in range(8):
            prices = any_prices(question, draw, number)
            assert not proves_with_chains(question, chains, reached, prices)


@given(st.integers(0, 10**6), st.sampled_from(["nominal", "optimistic"]))
@settings(max_examples=25, deadline=None)
def test_no_prices_whatever_refute_a_schedule_of_the_model(seed: int, mode: str) -> None:
    cluster, workflows = random_instance(seed, workflows=6)
    problem = problem_of(cluster, workflows, mode=mode, decode_batch=1 + seed % 3)
    question = ask(problem_times(problem), problem.arrival_s, problem.horizon_s, 100.0)
    chains = find_chains(question)
    for draw in range(4):
        reached = value(problem, list_schedule(problem, draw)) * (1 + 1e-9)
        for number in range(8):
            prices = any_prices(question, seed, number)
            assert not proves_with_chains(question, chains, reached, prices)


def test_chains_raise_the_bound() -> None:
    stronger = 0
    for seed in range(210, 216):
        cluster, workflows = random_instance(seed, workflows=8)
        problem = problem_of(cluster, workflows)
        question = ask(problem_times(problem), problem.arrival_s, problem.horizon_s, 100.0)
        lowest = Energy(question).bound(question.critical_path(), float("inf"))
        lowest = Preemptive(question).bound(lowest, float("inf"))
        with_chains = ChainLP(question).bound(lowest, float("inf"))
        assert with_chains >= lowest
        stronger += with_chains > 1.02 * lowest
    assert stronger > 0
