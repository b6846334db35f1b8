"""By the size of the call itself: shortest first, or longest first."""

# ruff: noqa: ARG002 -- hooks are called with more than some implementations use

from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.view import ClusterView
from hexsolve.solver.online.base import HorizonOrdering


class ShortestJob(HorizonOrdering):
    """SJF: key ``t_c``, the predicted time of the call alone on the best pair, s.

    Prefill of what is not cached, transfer and decoding of the predicted output. Calls of long
    workflows are as short as others, so it knows nothing of workflows.
    """

    moves = False

    def priority(self, view: ClusterView, call: RevealedCall) -> float:
        """Return the predicted time alone, s."""
        self.horizons.reveal(call)
        return self.horizons.alone(call)


class HEFT(HorizonOrdering):
    """HEFT's upward rank on the revealed frontier: key ``−rank_u(c)``.

    ``rank_u(c) = w̄_c + max over children (c̄ + rank_u(child))`` with w̄ the time averaged over the
    pairs of instances (Topcuoglu, Hariri and Wu, IEEE TPDS 13(3), 2002, doi 10.1109/71.993206).
    Online a call is revealed when its parents are done, so that a waiting call has no revealed
    child and the rank is w̄_c: the longest call first. That is what HEFT is without the future.
    """

    moves = False

    def priority(self, view: ClusterView, call: RevealedCall) -> float:
        """Return minus the mean time, s."""
        self.horizons.reveal(call)
        return -self.horizons.mean(call)
