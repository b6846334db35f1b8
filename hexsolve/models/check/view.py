"""A plan with its names resolved: what the rules look at."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hexsolve.models.hardware import NodePool
from hexsolve.models.latency import EnginePerformance
from hexsolve.models.plan import InstanceGroup, Plan
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.workload import CallClass, WorkflowClass


@dataclass(frozen=True)
class Serving:
    """Calls of one class that one group serves."""

    group: InstanceGroup
    engine: EnginePerformance
    workflow: WorkflowClass
    call: CallClass
    calls_per_s: float

    @property
    def ids(self) -> dict[str, str]:
        """Group, workflow and call."""
        return {"group": self.group.id, "workflow": self.workflow.name, "call": self.call.name}


@dataclass(frozen=True)
class GroupView:
    """A group with its engine and the classes it serves."""

    group: InstanceGroup
    engine: EnginePerformance
    servings: tuple[Serving, ...]

    @property
    def ids(self) -> dict[str, str]:
        """Group and GPU type."""
        return {"group": self.group.id, "gpu": self.group.gpu}


@dataclass(frozen=True)
class PlanView:
    """A well-formed plan for a problem (see `structure`), names resolved."""

    problem: PlanningProblem
    plan: Plan
    groups: tuple[GroupView, ...]
    pools: Mapping[str, NodePool]

    def demanded(self) -> Iterator[tuple[WorkflowClass, CallClass, float]]:
        """Yield each call class with the calls per second that the plan's load demands."""
        for workflow in self.problem.workload.classes:
            for call in workflow.calls:
                per_workflow = call.repeat * call.parallel
                yield workflow, call, self.plan.load * workflow.rate_per_s * per_workflow

    def servings(self, workflow: str, call: str, *roles: str) -> list[Serving]:
        """Return who serves a call class in one of the roles, in the order of the groups."""
        return [
            serving
            for group in self.groups
            for serving in group.servings
            if serving.workflow.name == workflow
            and serving.call.name == call
            and group.group.role in roles
        ]


def resolve(problem: PlanningProblem, plan: Plan) -> PlanView:
    """Return the view of a plan that `structure` found well-formed."""
    engines = {(engine.gpu, engine.tp, engine.pp): engine for engine in problem.engines}
    calls = {
        (workflow.name, call.name): (workflow, call)
        for workflow in problem.workload.classes
        for call in workflow.calls
    }
    groups = []
    for group in plan.groups:
        engine = engines[group.gpu, group.tp, group.pp]
        servings = tuple(
            Serving(group, engine, *calls[flow.workflow, flow.call], flow.calls_per_s)
            for flow in group.flows
            # A flow of nothing promises nothing, so no rule looks at it.
            if flow.calls_per_s != 0.0
        )
        groups.append(GroupView(group, engine, servings))
    pools = {pool.gpu: pool for pool in problem.cluster.pools}
    return PlanView(problem, plan, tuple(groups), pools)
