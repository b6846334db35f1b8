"""First come, first served: by call, or by workflow."""

# ruff: noqa: ARG002 -- hooks are called with more than some implementations use

from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.view import ClusterView


class CallFCFS:
    """Key: the reveal time of the call."""

    def start(self, view: ClusterView) -> None:
        """Begin a run."""

    def priority(self, view: ClusterView, call: RevealedCall) -> float:
        """Return the reveal time, s."""
        return call.revealed_s

    def completed(self, view: ClusterView, call: RevealedCall) -> None:
        """Learn nothing."""


class WorkflowFCFS(CallFCFS):
    """Key: the arrival a_w of the call's workflow, so that a workflow keeps its place in line."""

    def priority(self, view: ClusterView, call: RevealedCall) -> float:
        """Return the arrival of the workflow, s."""
        return call.workflow.arrival_s
