"""Policies by name."""

from collections.abc import Callable

from hexsolve.models.errors import InputError, allowed
from hexsolve.models.simulation.policy import Policy
from hexsolve.solver.online.base import ComposedPolicy
from hexsolve.solver.online.orderings.fcfs import CallFCFS, WorkflowFCFS
from hexsolve.solver.online.placements.least_work import LeastWork
from hexsolve.solver.online.placements.round_robin import RoundRobin

POLICIES: dict[str, Callable[[], Policy]] = {
    "round-robin": lambda: ComposedPolicy("round-robin", CallFCFS(), RoundRobin()),
    "least-work": lambda: ComposedPolicy("least-work", CallFCFS(), LeastWork()),
    "workflow-fcfs": lambda: ComposedPolicy("workflow-fcfs", WorkflowFCFS(), LeastWork()),
}


def make_policy(name: str) -> Policy:
    """Return a new policy called `name`.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in POLICIES:
        raise InputError(f"unknown policy {name!r}; allowed: {allowed(POLICIES)}", field="policy")
    return POLICIES[name]()
