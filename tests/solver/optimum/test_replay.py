"""Schedules in the simulator, and the optimistic bound below what policies reach there."""

import pytest

from hexsolve.models import slo
from hexsolve.models.schedule import ScheduleTimes
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.models.simulation.measures import flow_times
from hexsolve.solver.online.predictors import make_predictor
from hexsolve.solver.online.registry import PolicyOptions, make_policy
from hexsolve.solver.optimum.clock import SearchOptions
from hexsolve.solver.optimum.replay import replay
from hexsolve.solver.optimum.timetable import scheduled_calls
from tests.solver.optimum.instances import list_schedule, problem_of, random_instance, search

POLICIES = ("workflow-fcfs+least-work", "llf+earliest-completion", "sjf+round-robin")


@pytest.mark.parametrize("block", range(4))
def test_no_simulated_run_beats_the_optimistic_bound(block: int) -> None:
    compared = 0
    for seed in range(12 * block, 12 * block + 12):
        cluster, workflows = random_instance(seed)
        cluster = cluster.model_copy(update={"admission": "predicted"})
        problem = problem_of(cluster, workflows, mode="optimistic", grid_s=0.03125)
        bound = search(problem, SearchOptions(time_limit_s=0.5)).bound
        horizons = standalone_horizons(cluster, workflows)
        for name in POLICIES:
            policy = make_policy(name, PolicyOptions(None, seed))
            record = Simulation(cluster, workflows, policy, make_predictor("oracle", 0)).run()
            if sum(record.counts["preemptions"]):
                continue
            compared += 1
            values = slo.slowdowns(flow_times(record), horizons)
            assert bound <= slo.required_scale(values, 100) * (1 + 1e-9), (seed, name)
    assert compared > 18


def test_any_schedule_can_be_replayed() -> None:
    for seed in range(25):
        cluster, workflows = random_instance(seed)
        problem = problem_of(cluster, workflows)
        calls = scheduled_calls(problem, list_schedule(problem, seed))
        horizons = standalone_horizons(cluster, workflows)
        times = ScheduleTimes(decode_batch=2, grid_s=0.125)
        made = replay(cluster, workflows, horizons, "req100", calls, times)
        assert made.objective > 0
        assert made.limited > 0
