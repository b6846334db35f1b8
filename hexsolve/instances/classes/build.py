"""From concrete workflows to planning classes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hexsolve.instances.classes.error import ApproximationError, approximation_error
from hexsolve.instances.classes.groups import call_groups, workflow_groups
from hexsolve.instances.classes.names import Names
from hexsolve.instances.classes.rate import arrival_rate
from hexsolve.instances.classes.table import CallTable, Floats, Ints, call_table
from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Workflow
from hexsolve.models.workload import CallClass, WorkflowClass, Workload

DEFAULT_CLASSES = 16
"""Call classes by default; the MILP stays quick up to about 20."""


@dataclass(frozen=True, slots=True)
class PlanningClasses:
    """A workload, how far it is from the workflows, and which call went where.

    `groups` holds the indices of each call class's calls (calls counted over all workflows in
    order), class by class in the order of `workload`.
    """

    workload: Workload
    error: ApproximationError
    groups: list[Ints]


def from_workflows(
    workflows: Sequence[Workflow],
    *,
    max_classes: int = DEFAULT_CLASSES,
    workflow_classes: int = 1,
    rate: float | None = None,
) -> Workload:
    """Return planning classes for workflows; see `summarise`."""
    return summarise(
        workflows, max_classes=max_classes, workflow_classes=workflow_classes, rate=rate
    ).workload


def error_curve(
    workflows: Sequence[Workflow], counts: Iterable[int] = (1, 2, 4, 8, 16, 32)
) -> list[ApproximationError]:
    """Return the approximation error for each number of call classes."""
    return [summarise(workflows, max_classes=count).error for count in counts]


def summarise(
    workflows: Sequence[Workflow],
    *,
    max_classes: int = DEFAULT_CLASSES,
    workflow_classes: int = 1,
    rate: float | None = None,
) -> PlanningClasses:
    """Group workflows and their calls into planning classes.

    1. Workflows are grouped by `workflow_class`; with `workflow_classes` > 1 each of these is
       split further by depth, prefill and output.
    2. Within each group calls are separated by their place in the workflow (the call's name),
       then by new, cached and output tokens, wherever that lowers the error most.
    3. Token counts of a class are means over its calls, so calls/s, new, cached and output
       tokens/s are those of the workflows exactly.
    4. `repeat` counts the class's calls on the critical paths of the workflows (see
       `table.path_share`), `parallel` is calls / repeat. Classes follow one another in the order
       of their mean level, so Σ `repeat` is the mean number of calls on the critical path and
       Σ repeat·tool_seconds its tool time.
       Where all workflows of a group have one call, each class is a workflow class of its own.

    Calls without output are averaged with others; only where a whole group has none does its
    class get one token (`CallClass` has to generate, and a prefill always yields one).

    Parameters
    ----------
    workflows : sequence of Workflow
        At least one.
    max_classes : int
        Most call classes in all.
    workflow_classes : int
        Most workflow classes for each value of `workflow_class`. More of them tell long
        workflows from short ones but share the same number of call classes: on the public
        coding-agent trace, 16 call classes, two raise the mean error from 0.41 to 0.53.
    rate : float, optional
        Workflows per second; see `arrival_rate` for what is used without it.

    Raises
    ------
    InputError
        No workflows, a number of classes below 1, or a rate that is not positive.
    """
    for field, value in (("max_classes", max_classes), ("workflow_classes", workflow_classes)):
        if value < 1:
            raise InputError(f"is {value}; allowed: at least 1", field=field)
    table = call_table(workflows)
    arrivals = arrival_rate(workflows, rate)
    flow_groups = workflow_groups(table, workflows, workflow_classes, max_classes)
    flows = np.empty(len(workflows), dtype=np.int64)
    for index, members in enumerate(flow_groups):
        flows[members] = index
    leaves = call_groups(table, flows, len(flow_groups), max_classes)
    classes: list[WorkflowClass] = []
    ordered: list[Ints] = []
    names = Names()
    for index, members in enumerate(flow_groups):
        inside = [leaf for leaf in leaves if flows[table.workflow[leaf[0]]] == index]
        inside.sort(key=lambda leaf: (float(_relative_level(table, leaf).mean()), int(leaf[0])))
        label = workflows[int(members[0])].workflow_class
        one_call = bool((np.bincount(table.workflow)[members] == 1).all())
        parts = [[leaf] for leaf in inside] if one_call else [inside]
        for part in parts:
            count = sum(len(leaf) for leaf in part) if one_call else len(members)
            share = count / len(workflows)
            classes.append(
                WorkflowClass(
                    name=names.unique(label),
                    rate_per_s=arrivals.per_second * share,
                    calls=tuple(_call_classes(table, part, count)),
                )
            )
            ordered.extend(part)
    error = approximation_error(table, ordered, len(classes))
    workload = Workload(
        classes=tuple(classes),
        burstiness=arrivals.burstiness,
        approximation=f"{len(workflows)} workflows with {len(table.new)} calls; "
        f"{arrivals.origin}; {error.text()}",
    )
    return PlanningClasses(workload, error, ordered)


def _relative_level(table: CallTable, leaf: Ints) -> Floats:
    """Return each call's level / (depth − 1) of its workflow, in 0 … 1."""
    depth = table.depth[table.workflow[leaf]]
    return np.asarray(table.level[leaf] / np.maximum(depth - 1, 1), dtype=np.float64)


def _call_classes(table: CallTable, leaves: list[Ints], workflows: int) -> list[CallClass]:
    """Return a workflow class's call classes, a chain in the order of `leaves`."""
    names = Names()
    out: list[CallClass] = []
    for leaf in leaves:
        weight = table.share[leaf]
        repeat = float(weight.sum()) / workflows
        new = table.new[leaf]
        place = int(np.bincount(table.place[leaf]).argmax())
        out.append(
            CallClass(
                name=names.unique(table.places[place]),
                new_tokens=float(new.mean()),
                cached_tokens=float(table.cached[leaf].mean()),
                output_tokens=float(table.output[leaf].mean()) or 1.0,
                new_tokens_cv=float(new.std() / new.mean()),
                repeat=repeat,
                parallel=len(leaf) / workflows / repeat,
                tool_seconds=float((table.tool[leaf] * weight).sum() / weight.sum()),
                after=(out[-1].name,) if out else (),
            )
        )
    return out
