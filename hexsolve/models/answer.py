"""The answer file: what a planning run found, how it was found, and for which instance."""

from typing import Any, Literal

from pydantic import Field

from hexsolve.models.base import Record
from hexsolve.models.hardware import Name, NonNegative
from hexsolve.models.plan import Objective, Plan
from hexsolve.models.problem import PlanningProblem, Role
from hexsolve.models.proven import ProvenAnswer, canonical_hash


class InstanceCount(Record):
    """Instances of one engine in one role, whatever their operating points."""

    role: Role
    gpu: Name
    tp: int = Field(ge=1)
    pp: int = Field(ge=1)
    count: int = Field(ge=1)


class Gain(Record):
    """What more hardware of one GPU type would bring, in units of the objective.

    Positive = better: more load, less US$/h, a smaller SLO scale.
    """

    gpu: Name
    one_gpu: float | None = Field(description="gain of one more GPU, alone in its node")
    one_node: float | None = Field(description="gain of one more node")
    exact: bool = Field(description="solved again with it; otherwise from the LP's dual prices")


class Change(Record):
    """The least change of one kind that would make an infeasible instance feasible."""

    what: str = Field(description="load, slo_scale, budget_per_hour, ttft_limit_s, …, gpus")
    now: float
    needed: float
    unit: str
    text: str = Field(description="the change in words")


class Answer(ProvenAnswer):
    """A plan with its proof.

    `plan` and `cost_per_hour` are null when there is no solution. The objective is a factor for
    `load`, US$/h for `cost` and the SLO scale for `slo`; the hash is `problem_hash`.
    """

    kind: Literal["plan"] = "plan"
    objective_kind: Objective
    cost_per_hour: NonNegative | None = Field(default=None, description="US$/h of the plan")
    instances: tuple[InstanceCount, ...] = ()
    bottleneck: str = Field(default="", description="why the plan is not better, in words")
    bottleneck_shares: dict[str, float] = Field(
        default_factory=dict,
        description="resource → share in what limits the load of these instances; sums to 1",
    )
    load_headroom: float | None = Field(
        default=None, description="largest load that these instances could carry"
    )
    scale_elasticity: float | None = Field(
        default=None, description="% more load from an SLO scale looser by 1 %"
    )
    gains: tuple[Gain, ...] = ()
    conflict: tuple[str, ...] = Field(
        default=(), description="infeasible: constraint groups that cannot hold together"
    )
    changes: tuple[Change, ...] = Field(
        default=(), description="infeasible: least changes, each enough on its own"
    )
    extrapolated: tuple[str, ...] = Field(
        default=(), description="engines of the plan whose latencies were not measured, and why"
    )
    warnings: tuple[str, ...] = Field(
        default=(), description="what the plan takes for granted and should not, in words"
    )
    plan: Plan | None = None
    simulation: dict[str, Any] | None = Field(
        default=None, description="what a simulation of the plan gave, beside its promises"
    )


def count_instances(plan: Plan) -> tuple[InstanceCount, ...]:
    """Return the instances of a plan by role and engine, in the order of its groups."""
    counts: dict[tuple[Role, str, int, int], int] = {}
    for group in plan.groups:
        key = (group.role, group.gpu, group.tp, group.pp)
        counts[key] = counts.get(key, 0) + group.count
    return tuple(
        InstanceCount(role=role, gpu=gpu, tp=tp, pp=pp, count=count)
        for (role, gpu, tp, pp), count in counts.items()
    )


def problem_hash(problem: PlanningProblem) -> str:
    """Return the SHA-256 (hex) of the problem's canonical JSON; see `canonical_hash`.

    Every field counts, with defaults filled in. The file an instance was written in (YAML or JSON,
    field order, comments) makes no difference; its figures, and those of the catalog it refers to,
    do.
    """
    return canonical_hash(problem.model_dump(mode="json"))
