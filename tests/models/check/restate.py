"""Plans whose stated figures agree with their flows."""

from hexsolve.models.check.promises import standalone_horizon, workflow_latency
from hexsolve.models.check.totals import price_per_hour
from hexsolve.models.check.view import resolve
from hexsolve.models.plan import Plan
from hexsolve.models.problem import PlanningProblem


def restated(problem: PlanningProblem, plan: Plan) -> Plan:
    """Return the plan with cost, latencies, horizons and SLO scale as the checker sees them.

    So that a corruption of groups or flows breaks the rule it is meant for, and not `cost` and
    `scale` as well. What the checker sees is itself tested against figures worked out by hand.
    """
    view = resolve(problem, plan)
    classes = problem.workload.classes
    latency = {workflow.name: workflow_latency(view, workflow) for workflow in classes}
    horizon = {workflow.name: standalone_horizon(problem, workflow) for workflow in classes}
    known = {name: value for name, value in horizon.items() if value is not None}
    price = price_per_hour(view)
    return plan.model_copy(
        update={
            "cost_per_hour": plan.cost_per_hour if price is None else price,
            "latency_s": {name: latency[name] for name in known},
            "horizon_s": known,
            "slo_scale": max((latency[name] / known[name] for name in known), default=0.0),
        }
    )
