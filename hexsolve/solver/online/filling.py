"""Prompts in progress on mixed instances: when each will be filled."""

from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.view import InstanceView


def filling_seconds(instance: InstanceView) -> tuple[list[tuple[RevealedCall, float]], float]:
    """Return when the prompts in progress on a mixed instance are filled, and their work, s.

    The list has the calls in the order in which they are served, each with the seconds until the
    step ends that fills its prompt: first the step under way, then chunks that fill the token
    budget beside the batch as it decodes now, shared with the prompts behind. Exact as long as that
    batch stays and steps are long for their tokens, not their attention. The second number is the
    seconds until all that is in progress would be filled if nothing followed. Empty and 0 on
    prefill and decode instances.
    """
    calls = instance.filling()
    if not calls:
        return [], 0.0
    mixed = instance.spec.performance.mixed
    batch = instance.running
    step = mixed.step_seconds(batch, instance.context_tokens, 0.0, 0.0)
    room = max(1, instance.spec.token_budget - batch)
    begin = instance.chunk_end_in_s
    known = sum(left for _, left in calls) + instance.pending_tokens
    tokens = 0
    work = 0.0
    filled = []
    for call, left in calls:
        tokens += left
        work += left * (call.length - left / 2.0)
        steps = -(-tokens // room)
        seconds = steps * step + mixed.prefill_seconds(min(steps * room, known), work)
        filled.append((call, begin + seconds))
    total = -(-tokens // room) * step + mixed.prefill_seconds(tokens, work)
    return filled, begin + total
