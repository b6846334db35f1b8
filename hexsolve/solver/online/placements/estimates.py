"""Estimates that several placements share: time to first token and per output token on a pair."""

from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.view import ClusterView, InstanceView
from hexsolve.solver.online.filling import filling_seconds


def queue_seconds(instance: InstanceView) -> float:
    """Return the seconds until a prefill or mixed instance has worked off its queue.

    The batch or prompts in progress, then the queued calls in as many equal batches as the token
    budget makes of them: ``Σ n`` new tokens and ``Σ n·(h + n/2)`` token pairs, each call with its
    own cache. A pipelined prefill instance takes a batch after each of its stages.
    """
    performance = instance.spec.performance
    pending, pairs = instance.pending_tokens, instance.pending_pairs
    busy = filling_seconds(instance)[1] if instance.role == "mixed" else instance.free_in_s
    if not pending:
        return busy
    batches = -(-pending // instance.spec.token_budget)
    if instance.role == "mixed":
        mixed = performance.mixed
        return busy + batches * mixed.m0 + mixed.prefill_seconds(pending, pairs)
    batch = performance.prefill.seconds(pending / batches, pairs / batches)
    return busy + batches * batch / performance.pp


def prefill_seconds(instance: InstanceView, call: RevealedCall) -> float:
    """Return the time of the call's own prefill with what is cached, s."""
    new = max(1, call.length - instance.cached_tokens(call))
    performance = instance.spec.performance
    if instance.role == "mixed":
        mixed = performance.mixed
        work = new * (call.length - new / 2.0)
        chunks = -(-new // instance.spec.token_budget)
        return chunks * mixed.m0 + mixed.prefill_seconds(new, work)
    return performance.prefill.call_seconds(new, call.length - new)


def token_seconds(instance: InstanceView, call: RevealedCall) -> float:
    """Return the time of a decode step with all that is bound to the instance and the call, s."""
    performance = instance.spec.performance
    batch = instance.bound + 1
    context = instance.context_tokens + instance.bound_tokens + call.length
    if instance.role == "mixed":
        return performance.mixed.step_seconds(batch, context, 0.0, 0.0)
    return performance.decode.step_seconds(batch, context)


def transfer_seconds(
    view: ClusterView, call: RevealedCall, p: InstanceView, d: InstanceView
) -> float:
    """Return the time to send what `d` lacks over the slower link end, s; 0 within an instance."""
    if p.number == d.number or call.remaining_output <= 1:
        return 0.0
    missing = call.length - d.cached_tokens(call)
    size = missing * p.spec.performance.kv_bytes_per_token
    speed = min(p.spec.nic_bandwidth, d.spec.nic_bandwidth)
    return view.cluster.transfer_latency_s + size / speed


def pairs(view: ClusterView, call: RevealedCall) -> list[tuple[InstanceView, InstanceView]]:
    """Return the pairs that can take the call; a mixed instance pairs with itself."""
    prefills = [p for p in view.prefills if view.can_take(call, p.number)]
    decodes = [d for d in view.decodes if view.can_take(call, d.number)]
    mixed = [(m, m) for m in view.mixed if view.can_take(call, m.number)]
    return [(p, d) for p in prefills for d in decodes] + mixed
