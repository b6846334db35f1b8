"""First come, first served: by call, or by workflow."""

# ruff: noqa: ARG002 -- hooks are called with more than some implementations use

from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.view import ClusterView
from hexsolve.solver.online.base import BaseOrdering


class CallFCFS(BaseOrdering):
    """Key: the reveal time of the call."""

    def priority(self, view: ClusterView, call: RevealedCall) -> float:
        """Return the reveal time, s."""
        return call.revealed_s


class WorkflowFCFS(CallFCFS):
    """Key: the arrival a_w of the call's workflow, so that a workflow keeps its place in line."""

    def priority(self, view: ClusterView, call: RevealedCall) -> float:
        """Return the arrival of the workflow, s."""
        return call.workflow.arrival_s
