"""Which workflows form a workflow class, and which of their calls a call class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsolve.instances.classes.split import Problem, split
from hexsolve.instances.classes.table import CallTable, Floats, Ints
from hexsolve.models.workflow import Workflow

# A place with less of a group's calls, new tokens and output tokens is no class of its own.
_LEAST_PLACE = 0.05

# A class of fewer than one call in a thousand, or one workflow in fifty, says more about an
# outlier than about the load.
_LEAST_CALLS = 1000
_LEAST_WORKFLOWS = 50


def workflow_groups(
    table: CallTable, workflows: Sequence[Workflow], per_label: int, most: int
) -> list[Ints]:
    """Return the workflows of each workflow class.

    Parameters
    ----------
    table : CallTable
        The calls of `workflows`.
    workflows : sequence of Workflow
        The workflows.
    per_label : int
        Most groups for each value of `workflow_class`.
    most : int
        Most groups in all; with more values of `workflow_class` they are not told apart.
    """
    labels = list(dict.fromkeys(workflow.workflow_class for workflow in workflows))
    code = {name: index for index, name in enumerate(labels)}
    label = np.array([code[workflow.workflow_class] for workflow in workflows], dtype=np.int64)
    if len(labels) > most:
        label[:] = 0
    start = [np.flatnonzero(label == index) for index in np.unique(label)]
    # Workflows of one call are told apart by their calls, in the next step.
    if int(table.depth.max()) == 1:
        return start
    size = len(workflows)

    def total(values: Floats) -> Floats:
        """Return the sum over each workflow's calls."""
        return np.bincount(table.workflow, values, size).astype(np.float64)

    output = total(table.output)
    targets = _scaled_roots(table.depth, total(table.prefill_work), total(table.new), output)
    least = max(1, size // _LEAST_WORKFLOWS)
    problem = Problem(targets, np.zeros(size, dtype=np.int64), targets, output, least)
    return split(problem, start, min(most, len(start) * per_label))


def call_groups(table: CallTable, flows: Ints, groups: int, most: int) -> list[Ints]:
    """Return the calls of each call class.

    Parameters
    ----------
    table : CallTable
        The calls.
    flows : Ints
        Per workflow: its workflow class, 0 … groups − 1.
    groups, most : int
        Number of workflow classes, and most call classes in all.
    """
    owner = flows[table.workflow]
    whole = [np.flatnonzero(owner == index) for index in range(groups)]
    by_place = [leaf for group in whole for leaf in _places(table, group)]
    problem = Problem(
        features=np.stack(
            (table.new, table.cached, table.output, table.new + table.cached), axis=1
        ),
        codes=table.place,
        targets=_scaled_roots(table.new, table.prefill_work, table.output, table.decode_work),
        positive=table.output,
        least=max(1, len(table.new) // _LEAST_CALLS),
    )
    return split(problem, by_place if len(by_place) <= most else whole, most)


def _places(table: CallTable, group: Ints) -> list[Ints]:
    """Return a group's calls by place; places that hardly count join the most common one."""
    place = table.place[group]
    ones = np.ones(len(group))
    weights = np.stack(
        [np.bincount(place, values) for values in (ones, table.new[group], table.output[group])]
    )
    totals = weights.sum(axis=1, keepdims=True)
    share = (weights / np.where(totals > 0, totals, 1.0)).max(axis=0)
    # A class must generate, so a place without output cannot be one.
    generates = weights[2] > 0
    common = int(np.where(generates, weights[0], -1.0).argmax())
    place = np.where((generates & (share >= _LEAST_PLACE))[place], place, common)
    return [group[place == code] for code in np.unique(place)]


def _scaled_roots(*columns: NDArray[Any]) -> Floats:
    """Return columns divided by their means, under the square root (see `split`)."""
    stacked = np.stack(columns, axis=1).astype(np.float64)
    means = stacked.mean(axis=0)
    return np.asarray(np.sqrt(stacked / np.where(means > 0, means, 1.0)), dtype=np.float64)
