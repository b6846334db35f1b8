"""The pair of earliest projected completion, for any ordering."""

from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.view import ClusterView
from hexsolve.solver.online.placements.estimates import (
    pairs,
    prefill_seconds,
    queue_seconds,
    token_seconds,
    transfer_seconds,
)


class EarliestCompletion:
    """``argmin queue_p + prefill_pc + transfer_pdc + steps_c · step_d`` over all pairs.

    The placement half of the HexAGenT rule (arXiv 2605.16637) for one call at a time, with the
    decode batch as it is. Ties go to the lower numbers.
    """

    def start(self, view: ClusterView) -> None:
        """Begin a run."""

    def choose(self, view: ClusterView, call: RevealedCall) -> tuple[int, int] | None:
        """Return the pair on which the call is projected to complete first."""
        first: dict[int, float] = {}
        decode: dict[int, float] = {}
        steps = max(0, call.remaining_output - 1)
        best: tuple[int, int] | None = None
        least = float("inf")
        for p, d in pairs(view, call):
            if p.number not in first:
                first[p.number] = queue_seconds(p) + prefill_seconds(p, call)
            if d.number not in decode:
                decode[d.number] = steps * token_seconds(d, call) if steps else 0.0
            seconds = first[p.number] + transfer_seconds(view, call, p, d) + decode[d.number]
            if seconds < least:
                best, least = (p.number, d.number), seconds
        return best
