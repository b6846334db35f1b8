"""llm-d's latency-predicting scorer over all pairs of prefill and decode instances."""

from hexsolve.models.errors import InputError
from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.view import ClusterView, InstanceView
from hexsolve.solver.online.placements.estimates import (
    pairs,
    prefill_seconds,
    queue_seconds,
    token_seconds,
    transfer_seconds,
)

TTFT_WEIGHT = 0.8
TPOT_WEIGHT = 0.2


class PairScorer:
    """``argmax 0.8·(1 − TTFT/TTFT*) + 0.2·(1 − TPOT/TPOT*)`` over all pairs: weighted headroom.

    Headroom is what the predicted latencies leave of their objectives, as a share. The weights are
    those of llm-d's SLO-aware pair scoring (github.com/llm-d/llm-d-inference-scheduler); it
    predicts latencies with a trained regressor, here they are the latency model's. Ties go to the
    lower numbers.

    Parameters
    ----------
    ttft_s, tpot_s : float
        The objectives TTFT* and TPOT*, s.
    """

    def __init__(self, ttft_s: float = 2.0, tpot_s: float = 0.05) -> None:
        if not (ttft_s > 0.0 and tpot_s > 0.0):
            raise InputError("objectives are not positive", field="ttft_s, tpot_s")
        self.ttft_s = ttft_s
        self.tpot_s = tpot_s

    def start(self, view: ClusterView) -> None:
        """Begin a run."""

    def choose(self, view: ClusterView, call: RevealedCall) -> tuple[int, int] | None:
        """Return the pair with the most headroom."""
        first: dict[int, float] = {}
        pace: dict[int, float] = {}
        best: tuple[InstanceView, InstanceView] | None = None
        most = -float("inf")
        for p, d in pairs(view, call):
            if p.number not in first:
                first[p.number] = queue_seconds(p) + prefill_seconds(p, call)
            if d.number not in pace:
                pace[d.number] = token_seconds(d, call)
            ttft = first[p.number] + transfer_seconds(view, call, p, d)
            headroom = TTFT_WEIGHT * (1.0 - ttft / self.ttft_s)
            headroom += TPOT_WEIGHT * (1.0 - pace[d.number] / self.tpot_s)
            if headroom > most:
                best, most = (p, d), headroom
        return None if best is None else (best[0].number, best[1].number)
