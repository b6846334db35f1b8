"""From concrete workflows to planning classes."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsolve.instances.classes.error import ApproximationError, approximation_error
from hexsolve.instances.classes.rate import arrival_rate
from hexsolve.instances.classes.split import Problem, split
from hexsolve.instances.classes.table import CallTable, Floats, Ints, call_table
from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Workflow
from hexsolve.models.workload import CallClass, WorkflowClass, Workload

DEFAULT_CLASSES = 16
"""Call classes by default; the MILP stays quick up to about 20."""

# A place with less of a group's calls, new tokens and output tokens is no class of its own.
_LEAST_PLACE = 0.05

# A class of fewer than one call in a thousand says more about an outlier than about the load.
_LEAST_SHARE = 1000


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
    rate: float | None = None,
) -> Workload:
    """Return planning classes for workflows; see `summarise`."""
    return summarise(workflows, max_classes=max_classes, rate=rate).workload


def error_curve(
    workflows: Sequence[Workflow], counts: Iterable[int] = (1, 2, 4, 8, 16, 32)
) -> list[ApproximationError]:
    """Return the approximation error for each number of call classes."""
    return [summarise(workflows, max_classes=count).error for count in counts]


def summarise(
    workflows: Sequence[Workflow],
    *,
    max_classes: int = DEFAULT_CLASSES,
    rate: float | None = None,
) -> PlanningClasses:
    """Group workflows and their calls into planning classes.

    1. Workflows are grouped by `workflow_class`, then by depth, prefill and output (one
       workflow class per eight call classes, at most four per `workflow_class`).
    2. Within each group calls are split by new, cached and output tokens and by their place in
       the workflow (the call's name), wherever that lowers the error most.
    3. Token counts of a class are means over its calls, so calls/s, new, cached and output
       tokens/s are those of the workflows exactly.
    4. A call at level ℓ of a workflow (calls on the longest path to it) that holds w calls counts
       1/w towards its class's `repeat`; `parallel` is calls / repeat. Classes follow one another
       in the order of their mean level, so Σ `repeat` is the mean depth of the workflows and
       Σ repeat·tool_seconds their mean tool time by level.
       Where all workflows of a group have one call, each class is a workflow class of its own.

    Calls without output are averaged with others; only where a whole group has none does its
    class get one token (`CallClass` has to generate, and a prefill always yields one).

    Parameters
    ----------
    workflows : sequence of Workflow
        At least one.
    max_classes : int
        Most call classes in all.
    rate : float, optional
        Workflows per second; see `arrival_rate` for what is used without it.

    Raises
    ------
    InputError
        No workflows, `max_classes` below 1, or a rate that is not positive.
    """
    if max_classes < 1:
        raise InputError(f"is {max_classes}; allowed: at least 1", field="max_classes")
    table = call_table(workflows)
    arrivals = arrival_rate(workflows, rate)
    flow_groups = _workflow_groups(table, workflows, max_classes)
    flows = np.empty(len(workflows), dtype=np.int64)
    for index, members in enumerate(flow_groups):
        flows[members] = index
    leaves = _call_groups(table, flows, len(flow_groups), max_classes)
    classes: list[WorkflowClass] = []
    ordered: list[Ints] = []
    names = _Names()
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
    error = approximation_error(table, ordered, flows)
    error = error.model_copy(update={"workflow_classes": len(classes)})
    workload = Workload(
        classes=tuple(classes),
        burstiness=arrivals.burstiness,
        approximation=f"{len(workflows)} workflows with {len(table.new)} calls; "
        f"{arrivals.origin}; {error.text()}",
    )
    return PlanningClasses(workload, error, ordered)


def _scaled_roots(*columns: NDArray[Any]) -> Floats:
    """Return columns divided by their means, under the square root."""
    stacked = np.stack(columns, axis=1)
    means = stacked.mean(axis=0)
    return np.asarray(np.sqrt(stacked / np.where(means > 0, means, 1.0)), dtype=np.float64)


def _workflow_groups(
    table: CallTable, workflows: Sequence[Workflow], max_classes: int
) -> list[Ints]:
    """Return the workflows of each workflow class."""
    codes = {
        name: code for code, name in enumerate(dict.fromkeys(w.workflow_class for w in workflows))
    }
    label = np.array([codes[workflow.workflow_class] for workflow in workflows], dtype=np.int64)
    if len(codes) > max_classes:
        label[:] = 0
    start = [np.flatnonzero(label == code) for code in np.unique(label)]
    size = len(workflows)
    output: Floats = np.bincount(table.workflow, table.output, size).astype(np.float64)
    depth = table.depth.astype(np.float64)
    targets = _scaled_roots(
        depth,
        np.bincount(table.workflow, table.prefill_work, size),
        np.bincount(table.workflow, table.new, size),
        output,
    )
    # Workflows of one call are told apart by their calls, in the next step.
    if int(table.depth.max()) == 1:
        return start
    problem = Problem(targets, np.zeros(size, dtype=np.int64), targets, output, max(1, size // 50))
    groups = min(4 * len(start), max(len(start), max_classes // 8))
    return split(problem, start, groups)


def _call_groups(table: CallTable, flows: Ints, groups: int, max_classes: int) -> list[Ints]:
    """Return the calls of each call class."""
    owner = flows[table.workflow]
    whole = [np.flatnonzero(owner == index) for index in range(groups)]
    by_place = [leaf for group in whole for leaf in _places(table, group)]
    start = by_place if len(by_place) <= max_classes else whole
    problem = Problem(
        features=np.stack(
            (table.new, table.cached, table.output, table.new + table.cached), axis=1
        ),
        codes=table.place,
        targets=_scaled_roots(
            table.new, table.cached, table.prefill_work, table.output, table.decode_work
        ),
        positive=table.output,
        least=max(1, len(table.new) // _LEAST_SHARE),
    )
    return split(problem, start, max_classes)


def _places(table: CallTable, group: Ints) -> list[Ints]:
    """Return a group's calls by place; places that hardly count join the most common one."""
    place = table.place[group]
    weights = np.stack(
        [
            np.bincount(place, values[group])
            for values in (np.ones(len(table.new)), table.new, table.output)
        ]
    )
    totals = weights.sum(axis=1, keepdims=True)
    share = (weights / np.where(totals > 0, totals, 1.0)).max(axis=0)
    common = int(weights[0].argmax())
    # A class must generate; a place without output cannot be one.
    apart = (share >= _LEAST_PLACE) & (weights[2] > 0)
    place = np.where(apart[place], place, common)
    return [group[place == code] for code in np.unique(place)]


def _relative_level(table: CallTable, leaf: Ints) -> Floats:
    """Return each call's level / (depth − 1) of its workflow, in 0 … 1."""
    depth = table.depth[table.workflow[leaf]]
    return np.asarray(table.level[leaf] / np.maximum(depth - 1, 1), dtype=np.float64)


def _call_classes(table: CallTable, leaves: list[Ints], workflows: int) -> list[CallClass]:
    """Return a workflow class's call classes, a chain in the order of `leaves`."""
    names = _Names()
    out: list[CallClass] = []
    for leaf in leaves:
        weight = 1.0 / table.width[leaf]
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


class _Names:
    """Gives out names that the schema allows, each once."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def unique(self, wanted: str) -> str:
        """Return `wanted` cleaned, with a number from the second time on."""
        clean = re.sub(r"[^A-Za-z0-9._+/-]+", "-", wanted).strip("._+/-")[:60] or "class"
        while True:
            self._used[clean] = self._used.get(clean, 0) + 1
            name = clean if self._used[clean] == 1 else f"{clean}-{self._used[clean]}"
            if name == clean or name not in self._used:
                self._used.setdefault(name, 1)
                return name
