"""Standalone horizons: shortcuts equal the simulation, and the simulation equals the formula."""

import random

import pytest

from hexsolve.models.simulation.horizon import simulated_horizon, standalone_horizons
from hexsolve.models.workflow import Call, Workflow
from tests.simulation.scenarios import random_scenario


@pytest.mark.parametrize("seed", range(150))
def test_shortcut_for_single_calls_equals_simulation(seed):
    cluster, workflows = random_scenario(seed)
    rng = random.Random(seed)
    for workflow in workflows:
        call = rng.choice(workflow.calls)
        alone = Call(call.prompt_tokens, call.output_tokens, tool_seconds=call.tool_seconds)
        single = Workflow("single", 3.0, (alone,))
        assert standalone_horizons(cluster, [single]) == [simulated_horizon(cluster, single)]


@pytest.mark.parametrize("seed", range(40))
def test_horizon_does_not_depend_on_arrival_name_or_company(seed):
    cluster, workflows = random_scenario(seed)
    together = standalone_horizons(cluster, workflows)
    renamed = [Workflow("x", 99.0, w.calls, w.workflow_class, w.prefix_group) for w in workflows]
    assert standalone_horizons(cluster, renamed) == together
    assert together == [standalone_horizons(cluster, [w])[0] for w in workflows]
