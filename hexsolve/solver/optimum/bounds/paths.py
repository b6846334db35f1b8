"""Heads, tails and the critical path of each workflow."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hexsolve.models.slo import required_scale
from hexsolve.solver.optimum.bounds.times import Floats, Times


@dataclass(frozen=True, slots=True)
class Paths:
    """Longest paths through the workflows' DAGs at the least latency of each call, s.

    Attributes
    ----------
    head_s : array, shape (n,)
        From the arrival of the workflow to the reveal of the call, at least.
    tail_s : array, shape (n,)
        From the end of the call to the end of the workflow, at least.
    flow_s : array, shape (workflows,)
        From arrival to end of each workflow, at least: its critical path.
    """

    head_s: Floats
    tail_s: Floats
    flow_s: Floats


def longest_paths(times: Times) -> Paths:
    """Return heads, tails and critical paths."""
    latency, tool = times.call_s.tolist(), times.tool_s.tolist()
    size = len(latency)
    head, tail = [0.0] * size, [0.0] * size
    for call, parents in enumerate(times.parents):
        ready = max((head[parent] + latency[parent] for parent in parents), default=0.0)
        head[call] = ready + tool[call]
    for call in range(size - 1, -1, -1):
        after = tool[call] + latency[call] + tail[call]
        for parent in times.parents[call]:
            tail[parent] = max(tail[parent], after)
    flow = np.zeros(int(times.workflow.max()) + 1)
    ends = np.array(head) + np.array(latency) + np.array(tail)
    np.maximum.at(flow, times.workflow, ends)
    return Paths(np.array(head), np.array(tail), flow)


def critical_path(times: Times, horizons: npt.ArrayLike, percent: float) -> float:
    """Return the bound of the critical paths: Req_q of ``flow_s / H``.

    No workflow is faster than its critical path, and an order statistic of greater slowdowns is
    not smaller.
    """
    return required_scale(longest_paths(times).flow_s / np.asarray(horizons), percent)


def needed(workflows: int, percent: float) -> int:
    """Return how many of `workflows` must meet the scale for Req_q to be no greater."""
    return int(required_scale(np.arange(1, workflows + 1), percent))
