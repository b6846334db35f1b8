"""Least expected work: the instance whose queue, plus this call, is done first."""

from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.view import ClusterView, InstanceView
from hexsolve.solver.online.filling import filling_seconds

REFERENCE_BATCH = 32
REFERENCE_CONTEXT = 2048


class LeastWork:
    """Token-weighted join-the-shortest-queue, prefill and decode chosen independently.

    Prefill: ``argmin_p free_p + s_p·(pending_p + new_p(c))``, the time until p is free and s_p
    seconds for each queued new token and each token of c that p has not cached; s_p is that of a
    full batch. Decode: ``argmin_d u_d·(pending_d + predicted(c))``, the predicted output of all
    calls bound to d at u_d seconds per token, that of a step with 32 calls of 2,048 tokens each.
    A mixed instance counts with the sum, and is free when the prompts in progress are filled. Ties
    go to the lower number.
    """

    def __init__(self) -> None:
        self._seconds: list[tuple[float, float]] = []

    def start(self, view: ClusterView) -> None:
        """Compute the speeds s and u of the instances."""
        self._seconds = [_seconds_per_token(instance) for instance in view.instances]

    def choose(self, view: ClusterView, call: RevealedCall) -> tuple[int, int] | None:
        """Return the pair with the least expected work."""
        seconds = self._seconds
        best_prefill = best_decode = best_mixed = -1
        prefill_work = decode_work = mixed_work = float("inf")
        for instance in view.prefills:
            number = instance.number
            if not view.can_take(call, number):
                continue
            new = call.length - instance.cached_tokens(call)
            work = instance.free_in_s + seconds[number][0] * (instance.pending_tokens + new)
            if work < prefill_work:
                best_prefill, prefill_work = number, work
        output = call.remaining_output
        for instance in view.decodes:
            number = instance.number
            if not view.can_take(call, number):
                continue
            work = seconds[number][1] * (instance.pending_output + output)
            if work < decode_work:
                best_decode, decode_work = number, work
        for instance in view.mixed:
            number = instance.number
            if not view.can_take(call, number):
                continue
            new = call.length - instance.cached_tokens(call)
            work = filling_seconds(instance)[1]
            work += seconds[number][0] * (instance.pending_tokens + new)
            work += seconds[number][1] * (instance.pending_output + output)
            if work < mixed_work:
                best_mixed, mixed_work = number, work
        if best_mixed >= 0 and (
            best_prefill < 0 or best_decode < 0 or mixed_work < prefill_work + decode_work
        ):
            return best_mixed, best_mixed
        if best_prefill < 0 or best_decode < 0:
            return None
        return best_prefill, best_decode


def _seconds_per_token(instance: InstanceView) -> tuple[float, float]:
    """Return seconds per new prompt token of a full batch, and per output token."""
    performance = instance.spec.performance
    budget = instance.spec.token_budget
    batch = min(REFERENCE_BATCH, instance.spec.max_batch)
    context = batch * REFERENCE_CONTEXT
    if instance.role == "mixed":
        mixed = performance.mixed
        chunk = mixed.prefill_seconds(budget, budget * budget / 2.0) / budget
        return chunk, mixed.step_seconds(batch, context, 0.0, 0.0) / batch
    prefill = performance.prefill.call_seconds(budget, 0) / budget / performance.pp
    return prefill, performance.decode.step_seconds(batch, context) / batch
