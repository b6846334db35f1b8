"""A simulation that nobody wants any longer is gone at once, without the garbage collector."""

import gc
from collections.abc import Iterator

import pytest

from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.solver.online.predictors import make_predictor
from hexsolve.solver.online.registry import PolicyOptions, make_policy
from tests.simulation.scenarios import random_scenario


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("policy", ["workflow-fcfs", "llf", "atlas", "hexagent"])
def test_a_run_leaves_no_cycles(policy):
    """With cycles a study of 1,000 short runs kept 600 MB of them."""
    cluster, workflows = random_scenario(5)

    def run() -> None:
        made = make_policy(policy, PolicyOptions(seed=1))
        simulation = Simulation(cluster, workflows, made, make_predictor("oracle", 1))
        assert simulation.run() is simulation.run()
        standalone_horizons(cluster, workflows)

    run()
    gc.collect()
    run()
    assert gc.collect() == 0
