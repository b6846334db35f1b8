"""A simulation that nobody wants any longer is gone at once, without the garbage collector."""

import gc
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from hexsolve.models.simulation.clone import clone
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.models.simulation.policy import BasePolicy
from hexsolve.models.simulation.view import ClusterView
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
    """With cycles a study kept its runs until the collector came round, which it rarely does."""
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


class Broken(BasePolicy):
    """Gives up at the first call."""

    def place(self, view, calls):
        raise RuntimeError("no idea")


@pytest.mark.usefixtures("_no_collector")
def test_a_run_that_fails_leaves_no_cycles_either():
    cluster, workflows = random_scenario(5)

    def run() -> None:
        with pytest.raises(RuntimeError, match="no idea"):
            Simulation(cluster, workflows, Broken(), make_predictor("oracle", 1)).run()

    run()
    gc.collect()
    run()
    # What the exception's traceback holds goes with it.
    assert not [each for each in gc.get_objects() if isinstance(each, (Simulation, ClusterView))]


def test_a_clone_of_a_finished_run_is_finished():
    cluster, workflows = random_scenario(5)
    made = make_policy("llf", PolicyOptions(seed=1))
    simulation = Simulation(cluster, workflows, made, make_predictor("oracle", 1))
    record = simulation.run()
    again = clone(simulation, make_policy("llf", PolicyOptions()), make_predictor("oracle", 1))
    assert again.run().finish == record.finish


CHAINS = """
from hexsolve.models.simulation.runs import Hold, TokenRun

run = hold = None
for number in range(100_000):
    twin = TokenRun(0, number, number + 1, None)
    twin.parent, run = run, twin
    hold = Hold(number, 1, run, hold)
del run, twin, hold
print("gone")
"""


def test_long_chains_go_without_a_trace():
    """As acyclic classes of mypyc, 50 of them freed at once overwrote memory of others."""
    made = subprocess.run(
        [sys.executable, "-c", CHAINS],
        env=os.environ | {"PYTHONMALLOC": "debug"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (made.returncode, made.stdout) == (0, "gone\n"), made.stderr[-2000:]
