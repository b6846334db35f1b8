"""All lower bounds on Req_q of an instance, and the largest of them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hexsolve.models.simulation.clock import to_seconds, to_ticks
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.workflow import Workflow
from hexsolve.solver.optimum.bounds.chain_lp import ChainLP
from hexsolve.solver.optimum.bounds.energy import Energy
from hexsolve.solver.optimum.bounds.items import Question, ask
from hexsolve.solver.optimum.bounds.preemptive import Preemptive
from hexsolve.solver.optimum.bounds.simulated import simulator_times
from hexsolve.solver.optimum.bounds.times import Times

ENERGY_SHARE, PREEMPTIVE_SHARE = 0.2, 0.4
"""Parts of the time limit after which energy and preemptive LP end; the LP with chains goes on."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A proven lower bound on Req_q: every schedule has at least `value`.

    Attributes
    ----------
    percent, value : float
        q, and the least scale α.
    method : str
        ``critical-path``, ``energy``, ``preemptive-lp`` or ``chain-lp``.
    seconds : float
        Wall-clock time spent on it.
    """

    percent: float
    value: float
    method: str
    seconds: float


def lower_bounds(
    cluster: SimulatedCluster,
    workflows: Sequence[Workflow],
    horizons: npt.ArrayLike,
    percents: Sequence[float] = (95.0, 99.0, 100.0),
    time_limit_s: float = 60.0,
    restarts: int | None = None,
) -> list[Bound]:
    """Return lower bounds on Req_q that hold for every run of the simulator under any policy.

    Parameters
    ----------
    cluster : SimulatedCluster
    workflows : sequence of Workflow
    horizons : array_like, shape (workflows,)
        H_w in the order of `workflows`, s.
    percents : sequence of float
        Each q.
    time_limit_s : float
        For all of them together; the critical path is worked out in any case.
    restarts : int, optional
        As in `simulator_times`: the bounds hold for runs with at most so many preemptions and
        losses; left out, for all runs.
    """
    started = time.monotonic()
    times = simulator_times(cluster, workflows, restarts)
    arrivals = [to_seconds(to_ticks(workflow.arrival_s)) for workflow in workflows]
    taken = time.monotonic() - started
    bounds: list[Bound] = []
    for place, percent in enumerate(percents):
        left = max(0.0, time_limit_s - (time.monotonic() - started)) / (len(percents) - place)
        question = ask(times, arrivals, horizons, percent)
        bounds += bounds_of(question, percent, left, taken)
        taken = 0.0
    return bounds


def bounds_of(
    question: Question, percent: float, time_limit_s: float, before_s: float = 0.0
) -> list[Bound]:
    """Return the bound of each method, weakest method first; later ones start from earlier ones.

    A later bound that found no more than an earlier one repeats its value. `before_s` is added
    to the first.
    """
    started = time.monotonic()
    value = question.critical_path() * (1.0 - 1e-9)
    bounds = [Bound(percent, value, "critical-path", before_s + time.monotonic() - started)]
    methods: list[tuple[str, type[Energy | Preemptive | ChainLP], float]] = [
        ("energy", Energy, started + ENERGY_SHARE * time_limit_s),
        ("preemptive-lp", Preemptive, started + PREEMPTIVE_SHARE * time_limit_s),
    ]
    if question.times.restarts == 0:
        methods.append(("chain-lp", ChainLP, started + time_limit_s))
    for method, search, until in methods:
        began = time.monotonic()
        value = search(question).bound(value, until)
        bounds.append(Bound(percent, value, method, time.monotonic() - began))
    return bounds


def best_bound(bounds: Sequence[Bound], percent: float) -> Bound:
    """Return the largest bound on Req_q; of equal ones the first, whose method is the simplest."""
    return max((bound for bound in bounds if bound.percent == percent), key=lambda b: b.value)


def times_bounds(
    times: Times,
    arrivals: npt.ArrayLike,
    horizons: npt.ArrayLike,
    percent: float,
    time_limit_s: float,
) -> list[Bound]:
    """Return bounds for a model of its own `times`; arrivals and horizons in s."""
    question = ask(times, np.asarray(arrivals), horizons, percent)
    return bounds_of(question, percent, time_limit_s)
