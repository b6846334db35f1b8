"""Epochs by the clock: they go on as long as anything is still to come."""

from itertools import pairwise

from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.workflow import Call, Workflow
from hexsolve.solver.online.predictors import make_predictor
from hexsolve.solver.online.registry import PolicyOptions, make_policy
from tests.simulation.scenarios import random_scenario


def test_epochs_outlast_gaps_between_arrivals():
    cluster, _ = random_scenario(5)
    calls = (Call(1, 1),)
    workflows = [Workflow(f"w{number}", 60.0 * number, calls) for number in range(6)]
    policy = make_policy("workflow-fcfs", PolicyOptions())
    policy.epoch_s = 0.01
    seen = []
    plan = policy.plan
    policy.plan = lambda view: (seen.append(view.now_s), plan(view))[1]
    Simulation(cluster, workflows, policy, make_predictor("oracle", 0)).run()
    assert max(seen) >= 300.0
    assert max(b - a for a, b in pairwise(seen)) < 0.02
