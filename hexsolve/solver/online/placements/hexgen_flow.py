"""HexGen-Flow's dispatch to heterogeneous instances: speed against load."""

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


class SpeedAndLoad:
    """``argmax α·min_j(t_j)/t_i − (1 − α)·load_i/max_j(load_j)`` over all pairs i.

    t_i is the call's own time on the pair (prefill with its cache, transfer, decoding alone), load
    the seconds of work that wait there: the prefill queue, and the predicted output bound to the
    decode instance at its present pace (arXiv 2505.05286, workload-balanced dispatching, which
    trades a call's execution cost against the queues of the instances). HexGen-Flow's instances
    serve both phases; here a pair takes their place. Ties go to the lower numbers.

    Parameters
    ----------
    alpha : float
        Weight of speed, 0…1.
    """

    def __init__(self, alpha: float = 0.5) -> None:
        if not 0.0 <= alpha <= 1.0:
            raise InputError(f"is {alpha}; allowed: 0…1", field="alpha")
        self.alpha = alpha

    def start(self, view: ClusterView) -> None:
        """Begin a run."""

    def choose(self, view: ClusterView, call: RevealedCall) -> tuple[int, int] | None:
        """Return the pair with the best score."""
        options = pairs(view, call)
        if not options:
            return None
        prefill = {p.number: prefill_seconds(p, call) for p, _ in options}
        wait = {p.number: queue_seconds(p) for p, _ in options}
        decode = {d.number: _alone_seconds(d, call) for _, d in options}
        behind = {d.number: _bound_seconds(d, call) for _, d in options}
        times = [
            prefill[p.number] + transfer_seconds(view, call, p, d) + decode[d.number]
            for p, d in options
        ]
        loads = [wait[p.number] + behind[d.number] for p, d in options]
        fastest = min(times)
        heaviest = max(loads) or 1.0
        scores = [
            self.alpha * fastest / time - (1.0 - self.alpha) * load / heaviest
            for time, load in zip(times, loads, strict=True)
        ]
        p, d = options[scores.index(max(scores))]
        return p.number, d.number


def _alone_seconds(d: InstanceView, call: RevealedCall) -> float:
    steps = max(0, call.remaining_output - 1)
    performance = d.spec.performance
    if d.role == "mixed":
        context = call.length + steps / 2.0
        return steps * performance.mixed.step_seconds(1, context, 0.0, 0.0)
    return performance.decode.steps_seconds(1, call.length, steps)


def _bound_seconds(d: InstanceView, call: RevealedCall) -> float:
    bound = d.bound
    return d.pending_output * token_seconds(d, call) / bound if bound else 0.0
