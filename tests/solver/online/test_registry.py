"""Every policy by name: complete, repeatable, and clear about what it does not know."""

import numpy as np
import pytest

from hexsolve.instances.generators.arrivals import compose_arrivals, poisson
from hexsolve.instances.generators.registry import SHAPES
from hexsolve.models.errors import InputError
from hexsolve.models.simulation.cluster import Failure, SimulatedCluster
from hexsolve.models.simulation.engine import Simulation
from hexsolve.solver.online.predictors import make_predictor
from hexsolve.solver.online.registry import (
    ORDERINGS,
    PLACEMENTS,
    POLICIES,
    PolicyOptions,
    check_policy,
    make_policy,
)
from hexsolve.solver.online.rolling.options import RollingOptions
from tests.simulation.engines import cluster, engine, instance

QUICK = PolicyOptions(rolling=RollingOptions(budget_ms=5.0))


def small() -> SimulatedCluster:
    """Prefill, decode and mixed instances; one of them fails and comes back."""
    performance = engine(capacity=60_000)
    roles = ["prefill", "prefill", "decode", "decode", "mixed"]
    return SimulatedCluster(
        instances=tuple(
            instance(f"i{n}", role, performance, nic_bandwidth=1e9) for n, role in enumerate(roles)
        ),
        failures=(Failure(instance="i1", at_s=1.0, until_s=3.0), Failure(instance="i3", at_s=2.0)),
    )


def flows(shape: str, count: int = 6):
    rng = np.random.default_rng(5)
    return compose_arrivals(list(SHAPES[shape].generate(count, rng)), poisson(2.0), rng)


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_completes_every_workflow_and_repeats(name):
    workflows = flows("tool-calling")

    def run():
        simulation = Simulation(
            small(), workflows, make_policy(name, QUICK), make_predictor("noise-0.5", 1)
        )
        return simulation.run()

    one, two = run(), run()
    assert all(finish > 0 for finish in one.finish)
    assert one.finish == two.finish
    assert one.counts == two.counts


@pytest.mark.parametrize("shape", ["chat", "text-to-sql", "map-reduce", "deep-research"])
@pytest.mark.parametrize("name", ["hexagent", "rolling-cpsat", "atlas", "hexgen-flow"])
def test_parallel_and_long_workflows(name, shape):
    policy = make_policy(name, QUICK)
    on = cluster(
        prefills=2, decodes=2, instance_options={"nic_bandwidth": 1e9},
        performance=engine(capacity=400_000),
    )  # fmt: skip
    record = Simulation(on, flows(shape, 3), policy, make_predictor("oracle", 0)).run()
    assert all(finish > 0 for finish in record.finish)


def test_any_ordering_goes_with_any_placement():
    workflows = flows("tool-calling", 2)
    on = cluster(prefills=2, decodes=2, instance_options={"nic_bandwidth": 1e9})
    for ordering in ORDERINGS:
        for placement in PLACEMENTS:
            policy = make_policy(f"{ordering}+{placement}")
            assert policy.name == f"{ordering}+{placement}"
            record = Simulation(on, workflows, policy, make_predictor("oracle", 0)).run()
            assert record.done == sum(len(each.calls) for each in workflows)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fifo", "unknown policy 'fifo'"),
        ("fifo+round-robin", "unknown ordering 'fifo'"),
        ("llf+nearest", "unknown placement 'nearest'"),
    ],
)
def test_unknown_names_say_what_is_allowed(name, message):
    with pytest.raises(InputError, match="allowed") as error:
        check_policy(name)
    assert message in str(error.value)


def test_planned_needs_a_plan():
    with pytest.raises(InputError, match="needs a plan"):
        make_policy("planned")


@pytest.mark.parametrize("budget", [0.0, 1e9])
def test_budgets_have_limits(budget):
    with pytest.raises(InputError, match="allowed"):
        RollingOptions(budget_ms=budget)
