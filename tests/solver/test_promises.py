"""The queueing formulas behind a plan's promises, against simulation of one prefill instance."""

from dataclasses import dataclass

import numpy as np
import pytest

from hexsolve.instances.generators.arrivals import compose_arrivals, poisson
from hexsolve.instances.generators.from_classes import draw_workflows
from hexsolve.models.assumptions import PlanningAssumptions
from hexsolve.models.observed import ObservedRun
from hexsolve.models.plan import (
    BatchCycle,
    CallFlow,
    DecodeStep,
    InstanceGroup,
    OperatingPoint,
    Plan,
    SingleCalls,
)
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.promised import CallPhases, promised_calls, promised_workflows
from hexsolve.models.simulation.deploy import deploy
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.workload import CallClass, WorkflowClass, Workload
from hexsolve.solver.online.predictors import OraclePredictor
from hexsolve.solver.online.registry import PolicyOptions, make_policy
from hexsolve.solver.placement.rules import GroupRules
from hexsolve.solver.placement.settle import settled
from hexsolve.solver.placement.traffic import Traffic
from tests.models.check.example import PROBLEM, engine

# 0.08 s alone: 0.02 s a batch and 0.06 s a call.
CALL = CallClass(name="ask", new_tokens=100, output_tokens=2)
CALLS = 8_000


def problem(rate: float, parallel: float) -> PlanningProblem:
    call = CALL.model_copy(update={"parallel": parallel})
    flow = WorkflowClass(name="chat", rate_per_s=rate / parallel, calls=(call,))
    return PROBLEM.model_copy(
        update={
            "gpus": tuple(each.model_copy(update={"nic_gb_s": 10.0}) for each in PROBLEM.gpus),
            "workload": Workload(classes=(flow,)),
            "engines": (engine("A", kv_tokens=10**6), engine("B", kv_tokens=10**6)),
            "assumptions": PlanningAssumptions(transfer_latency_s=0.0),
        }
    )


@dataclass(frozen=True)
class Latency:
    """Of a workflow, s."""

    promised: float
    observed: float


def promise_and_run(
    rate: float, point: OperatingPoint, parallel: float = 1.0
) -> tuple[CallPhases, CallPhases, Latency]:
    posed = problem(rate, parallel)
    rules = GroupRules(posed, Traffic.of(posed))
    start = rules.at(posed.engines[0], "prefill", point)
    assert start is not None
    least = settled(rules, start, 1, np.array([rate]), 1.0).point
    assert least != point
    flows = (CallFlow(workflow="chat", call="ask", calls_per_s=rate),)
    common = {"tp": 1, "pp": 1, "count": 1, "flows": flows}
    decode = DecodeStep(step_s=0.1, batch_reference=1)
    plan = Plan(
        groups=(
            InstanceGroup(id="p", role="prefill", gpu="A", operating_point=least, **common),
            InstanceGroup(id="d", role="decode", gpu="B", operating_point=decode, **common),
        ),
        load=1.0,
        cost_per_hour=1.0,
        slo_scale=1.0,
        latency_s={"chat": 1.0},
        horizon_s={"chat": 1.0},
    )
    rng = np.random.default_rng(5)
    drawn = draw_workflows(posed.workload.classes, CALLS, rng)
    arriving = compose_arrivals(drawn, poisson(rate / parallel), rng)
    policy = make_policy("planned", PolicyOptions(plan))
    simulation = Simulation(deploy(posed, plan), arriving, policy, OraclePredictor())
    run = ObservedRun(simulation.run(), simulation.workflows)
    observed = run.calls("chat")
    assert observed is not None
    latency = Latency(promised_workflows(posed, plan)["chat"], run.latency("chat").mean)
    return promised_calls(posed, plan)["chat", "ask"], observed, latency


@pytest.mark.parametrize("rate", [3.0, 6.0])
def test_one_call_at_a_time_waits_as_pollaczek_and_khinchine_say(rate):
    promised, observed, _ = promise_and_run(rate, SingleCalls(wait_s=5.0))
    busy = rate * 0.08
    assert promised.wait == pytest.approx(rate * 0.08**2 / (2.0 * (1.0 - busy)), rel=1e-6)
    assert observed.wait == pytest.approx(promised.wait, rel=0.1)
    assert observed.ttft == pytest.approx(promised.ttft, rel=0.1)


@pytest.mark.parametrize("rate", [3.0, 7.0, 11.0])
def test_batches_delay_calls_no_more_than_promised_and_hardly_less(rate):
    """The formula lets an idle engine run empty batches, and keeps 5 % of the time free."""
    promised, observed, _ = promise_and_run(rate, BatchCycle(cycle_s=0.8, wait_s=20.0))
    assert observed.ttft < promised.ttft < 2.0 * observed.ttft


@pytest.mark.parametrize("parallel", [3.0, 8.0])
def test_siblings_wait_for_each_other_as_promised(parallel):
    """All siblings at one instance: each waits for half the others, the workflow for the last."""
    rate = 5.0
    promised, observed, latency = promise_and_run(rate, SingleCalls(wait_s=5.0), parallel)
    busy, met = rate * 0.08, parallel - 1.0
    queue = rate * 0.08**2 * (1.0 + met) / (2.0 * (1.0 - busy))
    assert promised.wait == pytest.approx(queue + met * 0.08 / 2.0, rel=1e-6)
    assert observed.wait == pytest.approx(promised.wait, rel=0.1)
    last = met * 0.08 / 2.0
    assert latency.promised - promised.latency == pytest.approx(last, rel=1e-6)
    assert latency.observed - observed.latency == pytest.approx(last, rel=0.1)
