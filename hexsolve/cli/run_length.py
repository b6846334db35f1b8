"""How many workflows make a run long compared with what one of them takes."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hexsolve.models.plan import Plan
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.workflow import Workflow

LEAST_WORKFLOWS, MOST_CALLS = 200, 20_000
LATENCIES_PER_RUN = 20.0
MOST_WORKFLOWS = 1_000_000
"""As many as a workflow file may hold calls."""
SHORT = 10.0
"""A run of fewer latencies than this is called short: half the rule, since arrivals are random."""


def run_length(rate: float, longest_s: float, calls_per_workflow: float) -> int:
    """Return how many workflows arrive in `LATENCIES_PER_RUN` of the longest mean latency.

    Parameters
    ----------
    rate : float
        Workflows/s.
    longest_s : float
        Mean latency of the class that takes longest, s.
    calls_per_workflow : float
        Mean; the run has at most `MOST_CALLS` calls or so, but at least `LEAST_WORKFLOWS`.
    """
    most = MOST_CALLS / max(1.0, calls_per_workflow)
    return max(LEAST_WORKFLOWS, math.ceil(min(rate * LATENCIES_PER_RUN * longest_s, most)))


def planned_length(problem: PlanningProblem, plan: Plan, rate: float) -> int:
    """Return how many workflows of the planned classes a run needs at `rate` workflows/s."""
    classes = problem.workload.classes
    calls = sum(
        each.rate_per_s * call.calls_per_workflow for each in classes for call in each.calls
    )
    per_workflow = calls / sum(each.rate_per_s for each in classes)
    return run_length(rate, max(plan.latency_s.values()), per_workflow)


def sampled_length(
    workflows: Sequence[Workflow], alone_s: Sequence[float], rate: float, scale: float
) -> int:
    """Return how many workflows like those of a sample a run needs at `rate` workflows/s.

    Parameters
    ----------
    workflows : sequence of Workflow
    alone_s : sequence of float
        What each takes alone on the cluster, s.
    rate : float
    scale : float
        What they may take in the run, in multiples of that.
    """
    _, longest = slowest_class(workflows, np.asarray(alone_s))
    calls = sum(len(workflow.calls) for workflow in workflows) / len(workflows)
    return run_length(rate, scale * longest, calls)


def slowest_class(
    workflows: Sequence[Workflow], flow_s: npt.NDArray[np.float64]
) -> tuple[str, float]:
    """Return the class of the longest mean latency, and that latency in seconds."""
    names = np.array([workflow.workflow_class for workflow in workflows])
    means = {str(name): float(flow_s[names == name].mean()) for name in np.unique(names)}
    name = max(means, key=lambda each: means[each])
    return name, means[name]


def short_run(
    workflows: Sequence[Workflow], flow_s: npt.NDArray[np.float64], rate: float
) -> str | None:
    """Return one line that says that a run was short, and how long it ought to be; None if not.

    Parameters
    ----------
    workflows : sequence of Workflow
    flow_s : ndarray
        What each took in the run, s.
    rate : float
        Workflows/s that arrive.
    """
    arrivals = [workflow.arrival_s for workflow in workflows]
    span = max(arrivals) - min(arrivals)
    name, longest = slowest_class(workflows, flow_s)
    if span >= SHORT * longest:
        return None
    enough = math.ceil(rate * LATENCIES_PER_RUN * longest)
    advice = ""
    if len(workflows) < enough <= MOST_WORKFLOWS:
        advice = f"; -n {enough} would do, unless the cluster cannot keep up with the rate"
    return (
        f"a short run: all arrive within {span:.3g} s and {name} takes {longest:.3g} s on average, "
        f"so that much of it is the cluster filling and draining{advice}"
    )
