"""From the oracle's counts and flows to a plan."""

from collections.abc import Sequence

from hexsolve.models.plan import CallFlow, InstanceGroup, Plan
from hexsolve.models.problem import PlanningProblem
from tests.models.check.restate import restated
from tests.solver.oracle import Candidate, OracleResult


def as_plan(
    problem: PlanningProblem, candidates: Sequence[Candidate], result: OracleResult
) -> Plan:
    """Return the plan that a result stands for, with its figures stated."""
    groups = tuple(
        InstanceGroup(
            id=f"g{i}",
            role=candidate.role,
            gpu=candidate.engine.gpu,
            tp=candidate.engine.tp,
            pp=candidate.engine.pp,
            count=result.counts[i],
            operating_point=candidate.operating_point,
            flows=tuple(
                CallFlow(workflow=workflow, call=call, calls_per_s=calls_per_s)
                for (owner, workflow, call), calls_per_s in result.flows.items()
                if owner == i
            ),
        )
        for i, candidate in enumerate(candidates)
        if result.counts[i]
    )
    bare = Plan(
        groups=groups, load=result.load, cost_per_hour=0, slo_scale=0, latency_s={}, horizon_s={}
    )
    return restated(problem, bare)
