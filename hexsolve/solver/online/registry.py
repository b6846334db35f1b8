"""Policies by name."""

from collections.abc import Callable

from hexsolve.models.errors import InputError, allowed
from hexsolve.models.plan import Plan
from hexsolve.models.simulation.policy import Policy
from hexsolve.solver.online.base import ComposedPolicy
from hexsolve.solver.online.orderings.fcfs import CallFCFS, WorkflowFCFS
from hexsolve.solver.online.placements.least_work import LeastWork
from hexsolve.solver.online.placements.planned import PlannedSplit
from hexsolve.solver.online.placements.round_robin import RoundRobin

POLICIES: dict[str, Callable[[], Policy]] = {
    "round-robin": lambda: ComposedPolicy("round-robin", CallFCFS(), RoundRobin()),
    "least-work": lambda: ComposedPolicy("least-work", CallFCFS(), LeastWork()),
    "workflow-fcfs": lambda: ComposedPolicy("workflow-fcfs", WorkflowFCFS(), LeastWork()),
}


PLANNED = "planned"
"""The split of the plan that the cluster was deployed from; needs that plan."""


def make_policy(name: str, plan: Plan | None = None, seed: int = 0) -> Policy:
    """Return a new policy called `name`.

    Parameters
    ----------
    name : str
        A key of `POLICIES`, or `PLANNED`.
    plan : Plan, optional
        The one behind the cluster, for `PLANNED`.
    seed : int
        Of a policy that draws.

    Raises
    ------
    InputError
        If there is none of that name, or it needs a plan and has none.
    """
    check_policy(name)
    if name != PLANNED:
        return POLICIES[name]()
    if plan is None:
        raise InputError(f"{name!r} needs a plan to follow", field="policy")
    return ComposedPolicy(PLANNED, CallFCFS(), PlannedSplit(plan, seed))


def check_policy(name: str) -> None:
    """Raise `InputError` unless there is a policy called `name`."""
    names = [*POLICIES, PLANNED]
    if name not in names:
        raise InputError(f"unknown policy {name!r}; allowed: {allowed(names)}", field="policy")
