"""What `hexsolve simulate` runs: the cluster of a plan, and the workflows."""

from pathlib import Path
from typing import Any

import numpy as np

from hexsolve.instances.benchmark.io import SUFFIX, benchmark_names, load_scheduling_instance
from hexsolve.instances.files import read_data
from hexsolve.instances.generators.arrivals import compose_arrivals, gamma
from hexsolve.instances.generators.from_classes import draw_workflows
from hexsolve.instances.generators.registry import SHAPES
from hexsolve.instances.importers.registry import read_trace
from hexsolve.instances.overrides import overrides_of
from hexsolve.instances.resolve import load_problem
from hexsolve.instances.validation import validated
from hexsolve.models.answer import Answer, problem_hash
from hexsolve.models.errors import InputError, allowed
from hexsolve.models.plan import Plan
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.scheduling import SchedulingInstance
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.simulation.deploy import deploy
from hexsolve.models.workflow import Workflow

DEFAULT_WORKFLOWS = 200


def resolve_cluster(
    path: Path | None, instance: Path | None
) -> tuple[PlanningProblem, Plan, SimulatedCluster]:
    """Return problem, plan and cluster of an answer or an instance file; None = the default.

    Raises
    ------
    InputError
        If the answer holds no plan or was made for another instance, or the instance has no plan.
    """
    if path is not None and _is_answer(data := read_data(path)):
        made = validated(Answer, data, str(path))
        problem = overrides_of(made, str(path)).applied(load_problem(instance))
        if made.instance_hash != problem_hash(problem):
            raise InputError(
                f"was made for instance {made.instance_name!r}, not for {problem.name!r} as it "
                "stands; give the right one with --instance",
                source=str(path),
            )
    else:
        if instance is not None:
            raise InputError(
                "is given with an instance; it goes with an answer of `hexsolve plan`",
                field="--instance",
            )
        problem = load_problem(path)
        made = _plan(problem)
    if made.plan is None:
        raise InputError(f"holds no plan (status {made.status})", source=str(path or problem.name))
    return problem, made.plan, deploy(problem, made.plan)


def resolve_stored(path: Path | None) -> SchedulingInstance | None:
    """Return the scheduling instance that `path` is or names; None if it is something else.

    Raises
    ------
    InputError
        If it is a scheduling instance, but not a sound one.
    """
    if path is None:
        return None
    if path.exists():
        data = read_data(path) if path.suffix.lower() == SUFFIX else None
        if not (isinstance(data, dict) and "call_fields" in data):
            return None
    elif str(path) not in benchmark_names():
        return None
    return load_scheduling_instance(path)


def _is_answer(data: Any) -> bool:
    return isinstance(data, dict) and data.get("kind") == "plan"


def _plan(problem: PlanningProblem) -> Answer:
    from hexsolve.solver.backends import Budget
    from hexsolve.solver.placement.report import answer

    return answer(problem, "cost", Budget(time_s=60.0, gap=1e-3), "highs", False)


def resolve_workflows(
    problem: PlanningProblem,
    workload: str,
    count: int | None,
    rate: float | None,
    cv: float,
    rng: np.random.Generator,
) -> tuple[list[Workflow], tuple[str, ...]]:
    """Return the workflows with their arrivals, and what to tell the user about them.

    Raises
    ------
    InputError
        If `workload` is neither ``classes`` nor a generator nor a readable file.
    """
    planned = sum(each.rate_per_s for each in problem.workload.classes) * problem.load
    notes: tuple[str, ...] = ()
    if workload == "classes":
        classes = problem.workload.classes
        workflows = draw_workflows(classes, count or DEFAULT_WORKFLOWS, rng)
    elif workload in SHAPES:
        workflows = list(SHAPES[workload].generate(count or DEFAULT_WORKFLOWS, rng))
    elif Path(workload).exists():
        imported = read_trace(Path(workload))
        workflows, notes = imported.workflows[:count], imported.notes
        if imported.has_arrivals and rate is None:
            return workflows, notes
    else:
        raise InputError(
            f"is {workload!r}; allowed: classes, an existing file, {allowed(SHAPES)}",
            field="workload",
        )
    chosen = rate or planned
    notes += (f"arrivals are composed: {chosen:g} workflows/s, CV of the gaps {cv:g}",)
    return compose_arrivals(workflows, gamma(chosen, cv), rng), notes
