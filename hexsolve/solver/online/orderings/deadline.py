"""By a deadline that follows from the standalone horizon."""

# ruff: noqa: ARG002 -- hooks are called with more than some implementations use

from hexsolve.models.errors import InputError
from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.view import ClusterView
from hexsolve.solver.online.base import HorizonOrdering

DEFAULT_SCALE = 3.0
"""The SLO scale α that deadlines are made with; the middle of what the paper's figures show."""


class EarliestDeadline(HorizonOrdering):
    """EDF: key ``a_w + α·H_w(t)``, with the running horizon of the workflow.

    Parameters
    ----------
    scale : float
        α.
    """

    def __init__(self, scale: float = DEFAULT_SCALE) -> None:
        if scale <= 0.0:
            raise InputError(f"is {scale}; allowed: above 0", field="scale")
        self.scale = scale

    def priority(self, view: ClusterView, call: RevealedCall) -> float:
        """Return the deadline of the workflow, s."""
        self.horizons.reveal(call)
        return call.workflow.arrival_s + self.scale * self.horizons.of(call.workflow)


class LeastLaxity(EarliestDeadline):
    """LLF: key ``a_w + α·H_w(t) − t − r_c``, r_c the remaining revealed critical path.

    What is revealed of a workflow behind a waiting call is the call itself, so r_c is its predicted
    time alone. t is the same for all calls at one instant and is left out. A baseline of arXiv
    2605.16637, there at the level of workflows.
    """

    def priority(self, view: ClusterView, call: RevealedCall) -> float:
        """Return the laxity plus the time, s."""
        return super().priority(view, call) - self.horizons.alone(call)


class Urgency(HorizonOrdering):
    """HexGen-Flow's urgency queue: key ``−(t_c − (τ_c − waited_c))``, the most urgent first.

    A call's budget τ_c is its share of the workflow's SLO in proportion to its predicted time:
    ``τ_c = α·t_c`` (arXiv 2505.05286). The waiting time grows alike for all calls, so that the
    order at any instant is that of ``revealed_c + (α − 1)·t_c``.

    Parameters
    ----------
    scale : float
        α.
    """

    moves = False

    def __init__(self, scale: float = DEFAULT_SCALE) -> None:
        self.scale = scale

    def priority(self, view: ClusterView, call: RevealedCall) -> float:
        """Return the time by which the call should begin, s."""
        self.horizons.reveal(call)
        return call.revealed_s + (self.scale - 1.0) * self.horizons.alone(call)
