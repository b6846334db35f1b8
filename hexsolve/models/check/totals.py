"""Rules on the plan as a whole: hardware, money, workflow latencies, and what it states."""

from collections.abc import Iterator, Mapping

from hexsolve.models.check.packing import nodes_used, stages
from hexsolve.models.check.promises import standalone_horizon, workflow_latency
from hexsolve.models.check.view import PlanView
from hexsolve.models.check.violation import Violation, at_most, equal, names


def inventory(view: PlanView) -> Iterator[Violation]:
    """Require that the stages of each GPU type can be packed into its nodes."""
    for gpu, pool in view.pools.items():
        used = nodes_used(view.groups, pool)
        if used is not None:
            yield from at_most("inventory", used, pool.nodes, "nodes", {"gpu": gpu}, "needed are")
        else:
            largest = max(stages(view.groups, gpu))
            per_node = pool.gpus_per_node
            yield from at_most(
                "inventory", largest, per_node, "GPUs per node", {"gpu": gpu}, "a stage needs"
            )


def budget(view: PlanView) -> Iterator[Violation]:
    """Require that the plan, priced anew, stays within the budget."""
    limit = view.problem.budget_per_hour
    price = price_per_hour(view)
    if limit is not None and price is not None:
        yield from at_most("budget", price, limit, "US$/h", {}, "the plan costs")


def cost(view: PlanView) -> Iterator[Violation]:
    """Require the stated cost to be the price of the GPUs, or of nodes where those are billed."""
    price = price_per_hour(view)
    if price is not None:
        stated = view.plan.cost_per_hour
        yield from equal("cost", stated, price, "US$/h", {}, "stated are")


def price_per_hour(view: PlanView) -> float | None:
    """Return US$/h; null when the plan does not fit into nodes (see `inventory`)."""
    total = 0.0
    for gpu, pool in view.pools.items():
        gpus = sum(size * number for size, number in stages(view.groups, gpu).items())
        if pool.billing == "node":
            nodes = nodes_used(view.groups, pool)
            if nodes is None:
                return None
            gpus = nodes * pool.gpus_per_node
        price = pool.price_per_hour
        total += gpus * (view.problem.gpu(gpu).price_per_hour if price is None else price)
    return total


def path(view: PlanView) -> Iterator[Violation]:
    """Require every workflow class's mean latency to be within α times its horizon."""
    scale_limit = view.problem.slo_scale
    if scale_limit is None:
        return
    for workflow in view.problem.workload.classes:
        horizon = standalone_horizon(view.problem, workflow)
        # Without a horizon no engine can hold the calls, which `call_fits` reports.
        if horizon is not None:
            ids = {"workflow": workflow.name}
            latency = workflow_latency(view, workflow)
            yield from at_most("path", latency, scale_limit * horizon, "s", ids, "latency is")


def scale(view: PlanView) -> Iterator[Violation]:
    """Require that the stated latencies, horizons and SLO scale are what the flows give."""
    latencies: dict[str, float] = {}
    horizons: dict[str, float] = {}
    for workflow in view.problem.workload.classes:
        horizon = standalone_horizon(view.problem, workflow)
        if horizon is not None:
            horizons[workflow.name] = horizon
            latencies[workflow.name] = workflow_latency(view, workflow)
    yield from _stated("latency_s", view.plan.latency_s, latencies)
    yield from _stated("horizon_s", view.plan.horizon_s, horizons)
    ratios = [latencies[name] / horizons[name] for name in latencies if horizons[name] > 0.0]
    if ratios:
        ids = {"field": "slo_scale"}
        yield from equal("scale", view.plan.slo_scale, max(ratios), "", ids, "stated is")


def _stated(
    field: str, stated: Mapping[str, float], right: Mapping[str, float]
) -> Iterator[Violation]:
    for name, value in right.items():
        ids = {"workflow": name, "field": field}
        if name in stated:
            yield from equal("scale", stated[name], value, "s", ids, "stated are")
        else:
            yield names("scale", ids, f"not stated; it is {value:.9g} s")
    for name in stated:
        if name not in right:
            ids = {"workflow": name, "field": field}
            yield names("scale", ids, "stated for a workflow class that has none")


TOTAL_RULES = (inventory, budget, cost, path, scale)
