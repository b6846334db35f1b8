"""What `hexsolve simulate` runs: the cluster of a plan, and the workflows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hexsolve.cli.run_length import MOST_WORKFLOWS, planned_length, sampled_length
from hexsolve.instances.benchmark.io import SUFFIX, benchmark_names, load_scheduling_instance
from hexsolve.instances.files import read_data
from hexsolve.instances.generators.arrivals import compose_arrivals, gamma, gap_variation
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
from hexsolve.models.simulation.checks import check_sizes
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.simulation.deploy import deploy
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.models.workflow import Workflow
from hexsolve.models.workload import WorkflowClass

SAMPLE = 20
"""How many workflows of a generator are simulated alone to see how long they take."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The workload that the options ask for; None where they leave it open."""

    workload: str
    count: int | None
    rate: float | None
    cv: float | None


OF_THE_RAREST = 20
"""How many workflows of a class that was missed are expected in a run of the size advised."""


class Drawn(NamedTuple):
    """Workflows with their arrivals.

    Attributes
    ----------
    workflows : list of Workflow
    notes : tuple of str
        What to tell the user about them.
    rate : float or None
        Workflows/s of composed arrivals; None if they came with the workflows.
    cv : float or None
        Coefficient of variation of the gaps of composed arrivals.
    absent : tuple of WorkflowClass
        Classes of the instance of which no workflow was drawn.
    planned : bool
        Whether classes and arrivals are those that the plan was made for.
    """

    workflows: list[Workflow]
    notes: tuple[str, ...]
    rate: float | None = None
    cv: float | None = None
    absent: tuple[WorkflowClass, ...] = ()
    planned: bool = False


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
        If it is a scheduling instance, but not a sound one; or nearly the name of one.
    """
    if path is None:
        return None
    if path.exists():
        data = read_data(path) if path.suffix.lower() == SUFFIX else None
        if not (isinstance(data, dict) and "call_fields" in data):
            return None
    elif str(path) not in benchmark_names():
        if near := get_close_matches(str(path), benchmark_names(), n=1, cutoff=0.75):
            raise InputError(
                f"is neither a file nor a stored instance; did you mean {near[0]!r}? `hexsolve "
                "instance list --benchmark` shows all",
                source=str(path),
            )
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
    plan: Plan,
    cluster: SimulatedCluster,
    wanted: Wanted,
    rng: np.random.Generator,
) -> Drawn:
    """Return the workflows with their arrivals.

    Parameters
    ----------
    problem : PlanningProblem
    plan : Plan
        Of `problem`; workflows arrive at its load unless another rate is asked for.
    cluster : SimulatedCluster
        Of `plan`.
    wanted : Wanted
    rng : Generator

    Raises
    ------
    InputError
        If the workload is neither ``classes`` nor a generator nor a readable file.
    """
    classes = problem.workload.classes
    rate = wanted.rate or plan.load * sum(each.rate_per_s for each in classes)
    notes: tuple[str, ...] = ()
    absent: tuple[WorkflowClass, ...] = ()
    cv = 1.0
    if wanted.workload == "classes":
        cv = gap_variation(problem.workload.burstiness)
        workflows = draw_workflows(
            classes, wanted.count or planned_length(problem, plan, rate), rng
        )
        drawn = {workflow.workflow_class for workflow in workflows}
        absent = tuple(each for each in classes if each.name not in drawn)
    elif wanted.workload in SHAPES:
        shape = SHAPES[wanted.workload]
        count = wanted.count
        if count is None:
            # Drawn from a stream of its own: the run is that of the same -n.
            sample = list(shape.generate(SAMPLE, rng.spawn(1)[0]))
            check_sizes(cluster, sample)
            alone = standalone_horizons(cluster, sample)
            count = sampled_length(sample, alone, rate, plan.slo_scale)
        workflows = list(shape.generate(count, rng))
    elif Path(wanted.workload).exists():
        imported = read_trace(Path(wanted.workload))
        workflows, notes = imported.workflows[: wanted.count], imported.notes
        if imported.has_arrivals and wanted.rate is None:
            return Drawn(workflows, notes)
    else:
        raise InputError(
            f"is {wanted.workload!r}; allowed: classes, an existing file, {allowed(SHAPES)}",
            field="workload",
        )
    cv = wanted.cv or cv
    planned = wanted.workload == "classes" and wanted.rate is None and wanted.cv is None
    notes += (f"arrivals are composed: {rate:g} workflows/s, CV of the gaps {cv:.3g}",)
    return Drawn(
        compose_arrivals(workflows, gamma(rate, cv), rng), notes, rate, cv, absent, planned
    )


def absence(absent: Sequence[WorkflowClass], rate: float) -> str:
    """Return one line that names the classes that were not drawn, and how to have some.

    Parameters
    ----------
    absent : sequence of WorkflowClass
    rate : float
        Workflows/s of all classes of the instance.
    """
    names = allowed((each.name for each in absent), 5)
    enough = math.ceil(OF_THE_RAREST * rate / min(each.rate_per_s for each in absent))
    advice = f"; -n {enough} would draw some" if enough <= MOST_WORKFLOWS else ""
    return f"no workflow of {names} was drawn, nothing here speaks for such workflows{advice}"


def stored_workflows(stored: SchedulingInstance) -> Drawn:
    """Return the workflows of a scheduling instance."""
    notes = (stored.description,) if stored.description else ()
    return Drawn(list(stored.workflows), notes)


def refuse_workload(instance: Path | None, wanted: Wanted) -> None:
    """Refuse what a scheduling instance fixes.

    Raises
    ------
    InputError
        If one of the options is given; names it.
    """
    given = {
        "--instance": instance is not None,
        "--workload": wanted.workload != "classes",
        "--workflows": wanted.count is not None,
        "--rate": wanted.rate is not None,
        "--cv": wanted.cv is not None,
    }
    for field, stands in given.items():
        if stands:
            raise InputError(
                "is given with a scheduling instance, which holds its workflows and arrivals",
                field=field,
            )
