"""NVIDIA Dynamo's KV router: least cost in blocks, prefill and decode one after the other."""

from collections.abc import Callable, Sequence

from hexsolve.models.errors import InputError
from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.view import ClusterView, InstanceView

BLOCK_TOKENS = 16


class DynamoRouter:
    """``argmin (w · prefill blocks + decode blocks)`` per worker, at temperature 0.

    Prefill blocks are the new prompt tokens of the call and of what is queued, decode blocks the KV
    that is in use there, the call's included, both in blocks of 16 tokens (docs of
    github.com/ai-dynamo/dynamo, "KV cache routing"). The prefill worker is chosen with w = 1 and no
    decode blocks, the decode worker by its blocks; blind to the speed of a worker. A mixed instance
    counts with the full sum and is taken if that is less than the sum over the pair. Ties go to
    the lower number.

    Parameters
    ----------
    overlap_weight : float
        w.
    """

    def __init__(self, overlap_weight: float = 1.0) -> None:
        if overlap_weight < 0.0:
            raise InputError(f"is {overlap_weight}; allowed: at least 0", field="overlap_weight")
        self.overlap_weight = overlap_weight

    def start(self, view: ClusterView) -> None:
        """Begin a run."""

    def choose(self, view: ClusterView, call: RevealedCall) -> tuple[int, int] | None:
        """Return the workers of least cost."""
        p, prefill_cost = _least(view, call, view.prefills, self._prefill_blocks)
        d, decode_cost = _least(view, call, view.decodes, _decode_blocks)
        m, mixed_cost = _least(view, call, view.mixed, self._both)
        if m is not None and (p is None or d is None or mixed_cost < prefill_cost + decode_cost):
            return m.number, m.number
        if p is None or d is None:
            return None
        return p.number, d.number

    def _prefill_blocks(self, instance: InstanceView, call: RevealedCall) -> float:
        new = call.length - instance.cached_tokens(call)
        return self.overlap_weight * (instance.pending_tokens + new) / BLOCK_TOKENS

    def _both(self, instance: InstanceView, call: RevealedCall) -> float:
        return self._prefill_blocks(instance, call) + _decode_blocks(instance, call)


def _decode_blocks(instance: InstanceView, call: RevealedCall) -> float:
    missing = call.length - instance.cached_tokens(call)
    return (instance.context_tokens + instance.bound_tokens + missing) / BLOCK_TOKENS


def _least(
    view: ClusterView,
    call: RevealedCall,
    instances: Sequence[InstanceView],
    cost: Callable[[InstanceView, RevealedCall], float],
) -> tuple[InstanceView | None, float]:
    best: InstanceView | None = None
    least = float("inf")
    for instance in instances:
        if view.can_take(call, instance.number):
            blocks = cost(instance, call)
            if blocks < least:
                best, least = instance, blocks
    return best, least
