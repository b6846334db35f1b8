"""Rules on whether a plan is well-formed; only for such a plan do the others make sense."""

import math
from collections import Counter
from collections.abc import Iterator

from pydantic import ValidationError

from hexsolve.models.check.violation import Violation, names
from hexsolve.models.plan import Plan
from hexsolve.models.problem import PlanningProblem

_POINT_ROLES = {"single": "prefill", "cycle": "prefill", "decode": "decode", "mixed": "mixed"}
_UNITS = {"count": "instances", "calls_per_s": "calls/s", "load": "", "cost_per_hour": "US$/h"}


def field_range(_problem: PlanningProblem, plan: Plan) -> Iterator[Violation]:
    """Require numbers in their fields' ranges: counts ≥ 1, flows ≥ 0, nothing infinite."""
    try:
        Plan.model_validate(plan.model_dump(warnings=False))
    except ValidationError as error:
        for detail in error.errors():
            place = detail["loc"]
            value = detail["input"]
            number = isinstance(value, int | float) and math.isfinite(value)
            bounds = [b for b in detail.get("ctx", {}).values() if isinstance(b, int | float)]
            ids = {"field": ".".join(str(part) for part in place)}
            if len(place) > 1 and place[0] == "groups" and isinstance(place[1], int):
                ids = {"group": plan.groups[place[1]].id, **ids}
            yield Violation(
                rule="field_range",
                ids=ids,
                amount=value if number else None,
                limit=bounds[0] if bounds else None,
                unit=_UNITS.get(str(place[-1]), ""),
                message=f"is {value!r}: {detail['msg']}",
            )


def unique_group(_problem: PlanningProblem, plan: Plan) -> Iterator[Violation]:
    """Require that no two groups share an id."""
    for name, times in Counter(group.id for group in plan.groups).items():
        if times > 1:
            yield Violation(
                rule="unique_group",
                ids={"group": name},
                amount=times,
                limit=1,
                unit="groups",
                message=f"{times} groups have this id",
            )


def known_gpu(problem: PlanningProblem, plan: Plan) -> Iterator[Violation]:
    """Require that every group's GPU type has a pool in the cluster."""
    pools = [pool.gpu for pool in problem.cluster.pools]
    for group in plan.groups:
        if group.gpu not in pools:
            ids = {"group": group.id, "gpu": group.gpu}
            yield names("known_gpu", ids, f"no such GPU in the cluster; it has {', '.join(pools)}")


def known_engine(problem: PlanningProblem, plan: Plan) -> Iterator[Violation]:
    """Require that every group's (GPU, tp, pp) is among the problem's engines."""
    engines = [(engine.gpu, engine.tp, engine.pp) for engine in problem.engines]
    pools = [pool.gpu for pool in problem.cluster.pools]
    for group in plan.groups:
        # An unknown GPU type is one mistake, not two.
        if group.gpu in pools and (group.gpu, group.tp, group.pp) not in engines:
            engine = f"{group.gpu} tp{group.tp} pp{group.pp}"
            ids = {"group": group.id, "engine": engine}
            yield names("known_engine", ids, "the LLM cannot run on this engine")


def known_class(problem: PlanningProblem, plan: Plan) -> Iterator[Violation]:
    """Require that every flow is of a call class that the workload has."""
    calls = {
        workflow.name: [call.name for call in workflow.calls]
        for workflow in problem.workload.classes
    }
    for group in plan.groups:
        for flow in group.flows:
            ids = {"group": group.id, "workflow": flow.workflow, "call": flow.call}
            if flow.workflow not in calls:
                known = ", ".join(calls)
                yield names("known_class", ids, f"no such workflow class; there are {known}")
            elif flow.call not in calls[flow.workflow]:
                known = ", ".join(calls[flow.workflow])
                yield names("known_class", ids, f"no such call class; there are {known}")


def unique_flow(_problem: PlanningProblem, plan: Plan) -> Iterator[Violation]:
    """Require that a group states its flow of a call class once."""
    for group in plan.groups:
        for (workflow, call), times in Counter((f.workflow, f.call) for f in group.flows).items():
            if times > 1:
                yield Violation(
                    rule="unique_flow",
                    ids={"group": group.id, "workflow": workflow, "call": call},
                    amount=times,
                    limit=1,
                    unit="flows",
                    message=f"{times} flows are stated",
                )


def role_allowed(problem: PlanningProblem, plan: Plan) -> Iterator[Violation]:
    """Require that every group's role is one that the problem allows."""
    for group in plan.groups:
        if group.role not in problem.roles:
            allowed = ", ".join(problem.roles)
            yield names(
                "role_allowed",
                {"group": group.id},
                f"role {group.role!r} is not allowed; allowed: {allowed}",
            )


def operating_point(_problem: PlanningProblem, plan: Plan) -> Iterator[Violation]:
    """Require that every group's operating point is one for its role."""
    for group in plan.groups:
        kind = group.operating_point.kind
        if _POINT_ROLES[kind] != group.role:
            yield names(
                "operating_point",
                {"group": group.id},
                f"operating point {kind!r} does not go with role {group.role!r}",
            )


STRUCTURE_RULES = (
    field_range,
    unique_group,
    known_gpu,
    known_engine,
    known_class,
    unique_flow,
    role_allowed,
    operating_point,
)
