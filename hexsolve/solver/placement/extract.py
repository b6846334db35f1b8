"""From variable values to a `Plan` whose stated figures follow from its counts and flows."""

from dataclasses import replace

import numpy as np
import pulp

from hexsolve.models.plan import CallFlow, InstanceGroup, Plan
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.standalone import longest_path
from hexsolve.solver.placement.candidates import Candidate
from hexsolve.solver.placement.formulation import Formulation
from hexsolve.solver.placement.rules import GroupRules
from hexsolve.solver.placement.settle import settled
from hexsolve.solver.placement.traffic import Traffic, Vector

# Flows below this share of a class are solver noise and are dropped.
NEGLIGIBLE = 1e-9


def extract_plan(formulation: Formulation, settle: bool | None = None) -> Plan:
    """Read the plan out of a solved model.

    Counts are rounded to integers; flows are cleaned of solver noise and then scaled per class
    and phase so that they meet the demand exactly. Operating points settle at what the flows
    need (see `settled`), except where the SLO scale itself was minimised: there the proven
    bound is one over the grid's points. `settle` decides otherwise.
    """
    if settle is None:
        settle = formulation.objective != "slo"
    counts = {
        column: round(variable.varValue or 0.0) for column, variable in formulation.count.items()
    }
    load = _value(formulation.load) * formulation.unit
    flows = _clean_flows(formulation, counts, load)
    problem, traffic = formulation.problem, formulation.traffic
    rules = GroupRules(problem, traffic)
    candidates = list(formulation.candidates)
    groups = []
    for column in formulation.active:
        if counts[column] < 1 or not any(c == column for _, c in flows):
            continue
        rates = np.array(
            [flows.get((row, column), 0.0) * traffic.rate[row] for row in range(len(traffic))]
        )
        if settle:
            chosen = settled(rules, candidates[column], counts[column], rates, load)
            candidates[column] = replace(chosen, key=candidates[column].key)
        groups.append(_group(candidates[column], counts[column], traffic, rates))
    latency = workflow_latencies(problem, traffic, candidates, flows, load)
    names = [flow.name for flow in problem.workload.classes]
    horizon = dict(zip(names, formulation.horizon, strict=True))
    return Plan(
        groups=tuple(groups),
        load=load,
        cost_per_hour=cost_per_hour(problem, groups),
        slo_scale=max(latency[name] / horizon[name] for name in latency),
        latency_s=latency,
        horizon_s=horizon,
    )


def _value(target: pulp.LpVariable | float) -> float:
    if isinstance(target, pulp.LpVariable):
        return float(target.varValue or 0.0)
    return target


def _group(candidate: Candidate, count: int, traffic: Traffic, rates: Vector) -> InstanceGroup:
    engine = candidate.engine
    return InstanceGroup(
        id=f"{candidate.role}-{engine.gpu}-tp{engine.tp}-pp{engine.pp}-{candidate.key}",
        role=candidate.role,
        gpu=engine.gpu,
        tp=engine.tp,
        pp=engine.pp,
        count=count,
        operating_point=candidate.point,
        flows=tuple(
            CallFlow(workflow=workflow.name, call=call.name, calls_per_s=float(rate))
            for (workflow, call), rate in zip(traffic.calls, rates, strict=True)
            if rate > 0.0
        ),
    )


def _clean_flows(
    formulation: Formulation, counts: dict[int, int], load: float
) -> dict[tuple[int, int], float]:
    """Return positive flows in units of load, each class and phase summing to `load`."""
    raw = {
        key: float(variable.varValue or 0.0) * formulation.unit
        for key, variable in formulation.flow.items()
        if counts[key[1]] >= 1 and (variable.varValue or 0.0) * formulation.unit > NEGLIGIBLE * load
    }
    for row in range(len(formulation.traffic)):
        mixed = sum(v for (r, c), v in raw.items() if r == row and _role(formulation, c) == "mixed")
        for phase in ("prefill", "decode"):
            total = sum(
                v for (r, c), v in raw.items() if r == row and _role(formulation, c) == phase
            )
            wanted = load - mixed
            if total > 0.0 and wanted > 0.0:
                for key in [k for k in raw if k[0] == row and _role(formulation, k[1]) == phase]:
                    raw[key] *= wanted / total
    return raw


def _role(formulation: Formulation, column: int) -> str:
    return formulation.candidates[column].role


def workflow_latencies(
    problem: PlanningProblem,
    traffic: Traffic,
    candidates: list[Candidate],
    flows: dict[tuple[int, int], float],
    load: float,
) -> dict[str, float]:
    """Return the mean latency of every workflow class under given flows, s."""
    seconds: dict[tuple[str, str], float] = {}
    for row, (workflow, call) in enumerate(traffic.calls):
        mine = {column: value for (r, column), value in flows.items() if r == row}
        total = sum(
            value * float(candidates[column].latency[row]) for column, value in mine.items()
        )
        total += _transfer_total(problem, float(traffic.transfer_bytes[row]), candidates, mine)
        seconds[workflow.name, call.name] = total / load if load > 0 else 0.0
    return {
        workflow.name: longest_path(
            workflow, {call.name: seconds[workflow.name, call.name] for call in workflow.calls}
        )
        for workflow in problem.workload.classes
    }


def _transfer_total(
    problem: PlanningProblem, size: float, candidates: list[Candidate], flows: dict[int, float]
) -> float:
    """Return flow-weighted transfer time, pairing fast links with fast links."""
    given = problem.assumptions
    sides = {
        phase: [
            (candidates[column].bandwidth, value)
            for column, value in flows.items()
            if candidates[column].role == phase
        ]
        for phase in ("prefill", "decode")
    }
    levels = sorted({level for side in sides.values() for level, _ in side})
    total, below = 0.0, 0.0
    for level in levels:
        upto = max(
            sum(value for bandwidth, value in side if bandwidth <= level) for side in sides.values()
        )
        total += (upto - below) * size / (level * (1.0 - given.link_utilisation_max))
        below = upto
    return total + below * given.transfer_latency_s


def cost_per_hour(problem: PlanningProblem, groups: list[InstanceGroup]) -> float:
    """Return US$/h: GPUs used, or all GPUs of the nodes needed where nodes are rented whole."""
    total = 0.0
    for pool in problem.cluster.pools:
        members = [group for group in groups if group.gpu == pool.gpu]
        gpus = sum(group.gpus for group in members)
        if pool.billing == "node":
            gpus = nodes_needed(pool.gpus_per_node, members) * pool.gpus_per_node
        total += gpus * problem.price_per_hour(pool.gpu)
    return total


def nodes_needed(gpus_per_node: int, members: list[InstanceGroup]) -> int:
    """Return the least number of nodes that hold all stages (exact for powers of two)."""
    needed = 0
    for size in sorted({group.tp for group in members}):
        blocks = sum(g.count * g.pp * g.tp // size for g in members if g.tp >= size)
        per_node = gpus_per_node // size
        needed = max(needed, -(-blocks // per_node))
    return needed
