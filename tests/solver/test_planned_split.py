"""The policy `planned`: calls go where the plan's flows say, as often as they say."""

from dataclasses import replace

import numpy as np
import pytest

from hexsolve.instances.generators.arrivals import compose_arrivals, poisson
from hexsolve.instances.generators.from_classes import draw_workflows
from hexsolve.models.errors import InputError
from hexsolve.models.observed import ObservedRun
from hexsolve.models.promised import promised_groups
from hexsolve.models.simulation.cluster import Failure
from hexsolve.models.simulation.deploy import deploy
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.record import RunRecord
from hexsolve.solver.online.predictors import OraclePredictor
from hexsolve.solver.online.registry import PolicyOptions, make_policy
from tests.models.check.example import PLAN, PROBLEM

# In the order of the plan's groups, one instance each.
SINGLE, CYCLE, DECODE, MIXED = range(4)
WORKFLOWS = 600


def run(seed: int = 0, failures: tuple[Failure, ...] = (), rename: str = "") -> Simulation:
    rng = np.random.default_rng(1)
    drawn = draw_workflows(PROBLEM.workload.classes, WORKFLOWS, rng)
    if rename:
        drawn = [replace(each, workflow_class=rename) for each in drawn]
    drawn = compose_arrivals(drawn, poisson(0.2), rng)
    cluster = deploy(PROBLEM, PLAN, failures)
    return Simulation(
        cluster, drawn, make_policy("planned", PolicyOptions(PLAN, seed)), OraclePredictor()
    )


def pairs(record: RunRecord) -> np.ndarray:
    return np.column_stack([np.asarray(record.counts[side]) for side in ("prefill", "decode")])


def test_calls_go_where_the_flows_say():
    simulation = run()
    placed = pairs(simulation.run())
    names = np.array([call.name for each in simulation.workflows for call in each.calls])
    assert (placed[names == "plan"] == (SINGLE, DECODE)).all()
    acts = placed[names == "act"]
    apart, mixed = (acts == (CYCLE, DECODE)).all(axis=1), (acts == (MIXED, MIXED)).all(axis=1)
    assert (apart | mixed).all()
    # Half of 1,200 draws; the standard deviation is 1.4 %.
    assert mixed.mean() == pytest.approx(0.5, abs=0.06)


def test_a_seed_repeats_and_another_differs():
    one, again, other = (pairs(run(seed).run()) for seed in (0, 0, 1))
    assert (one == again).all()
    assert (one != other).any()


def test_calls_of_no_planned_class_go_by_all_flows():
    placed = pairs(run(rename="unknown").run())
    counts = np.bincount(placed[:, 0], minlength=4) / len(placed)
    assert counts[[SINGLE, CYCLE, MIXED]] == pytest.approx([1 / 3] * 3, abs=0.06)


def test_what_is_down_is_passed_over():
    down = Failure(instance=deploy(PROBLEM, PLAN).instances[CYCLE].name, at_s=0.0)
    record = run(failures=(down,)).run()
    assert record.done == 3 * WORKFLOWS
    assert CYCLE not in np.asarray(record.counts["prefill"])


def test_it_needs_a_plan():
    with pytest.raises(InputError, match="needs a plan"):
        make_policy("planned")


def test_observed_use_agrees_with_little_s_law_when_the_load_is_low():
    simulation = run()
    observed = ObservedRun(simulation.run(), simulation.workflows)
    seen, promised = observed.groups(PLAN), promised_groups(PROBLEM, PLAN)
    # A fifth of the planned load, on engines that decode one call at a time.
    for use, promise in zip(seen, promised, strict=True):
        assert use.busy is not None
        assert 0.0 < use.busy < 0.9
        assert 0.0 < use.kv < promise.kv
