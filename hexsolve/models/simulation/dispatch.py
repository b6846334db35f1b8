"""Carrying out assignments: into queues, between queues, or too late."""

from typing import TYPE_CHECKING

from hexsolve.models.simulation.assignment import Assignment
from hexsolve.models.simulation.calls import (
    DONE,
    INBOUND,
    PREFILLING,
    QUEUED,
    READY,
    RevealedCall,
)
from hexsolve.models.simulation.decode import DecodeInstance
from hexsolve.models.simulation.policy import PolicyError
from hexsolve.models.simulation.prefill import PrefillInstance

if TYPE_CHECKING:
    from hexsolve.models.simulation.engine import Simulation


def assign(simulation: "Simulation", call: RevealedCall, assignment: Assignment) -> None:
    """Carry out an assignment as far as the call's stage still allows it."""
    stage = call.stage
    priority = assignment.priority
    decode_priority = assignment.decode_priority
    if stage == READY:
        if not is_possible(simulation, call, assignment):
            raise _refusal(simulation, call, assignment)
        call.priority, call.decode_priority = priority, decode_priority
        call.prefill, call.decode = assignment.prefill, assignment.decode
        call.attempt += 1
        call.sequence = simulation.sequence
        simulation.sequence += 1
        enqueue(simulation, call)
    elif stage == QUEUED:
        if (
            call.prefill == assignment.prefill
            and call.decode == assignment.decode
            and call.priority == priority
            and call.decode_priority == decode_priority
        ):
            return
        dequeue(simulation, call)
        if is_possible(simulation, call, assignment):
            call.prefill, call.decode = assignment.prefill, assignment.decode
        call.priority, call.decode_priority = priority, decode_priority
        enqueue(simulation, call)
    elif stage == DONE:
        simulation.record.stale_assignments += 1
    else:
        _redirect(simulation, call, assignment, decode_priority)


def enqueue(simulation: "Simulation", call: RevealedCall) -> None:
    """Put a placed call into its queue and count it at both instances."""
    prefill = simulation.instances[call.prefill]
    decode = simulation.instances[call.decode]
    assert not isinstance(prefill, DecodeInstance)
    assert not isinstance(decode, PrefillInstance)
    prefill.enqueue(call)
    call.expected_output = call.remaining_output
    decode.bind(call)
    if not isinstance(prefill, PrefillInstance) or prefill.free_at <= simulation.now:
        # A busy instance looks at its queue when its batch ends.
        simulation.dirty.add(call.prefill)
    if simulation.listener is not None:
        simulation.listener.call("queue", simulation.now, call, call.prefill)


def dequeue(simulation: "Simulation", call: RevealedCall) -> None:
    """Take a queued call back out."""
    prefill, decode = simulation.instances[call.prefill], simulation.instances[call.decode]
    assert not isinstance(prefill, DecodeInstance)
    assert not isinstance(decode, PrefillInstance)
    if prefill.up:
        prefill.dequeue(call)
        simulation.dirty.add(call.prefill)
    if decode.up:
        decode.unbind(call)


def _redirect(
    simulation: "Simulation", call: RevealedCall, assignment: Assignment, decode_priority: float
) -> None:
    """Change what can still be changed of a call whose prefill has started."""
    decode = simulation.instances[call.decode]
    if not isinstance(decode, DecodeInstance):
        call.priority = assignment.priority
        return
    target = simulation.instances[assignment.decode]
    if call.stage not in (PREFILLING, INBOUND):
        call.decode_priority = decode_priority
        return
    if call.stage == INBOUND:
        decode.dequeue(call)
        simulation.dirty.add(decode.number)
    call.decode_priority = decode_priority
    if (
        isinstance(target, DecodeInstance)
        and target is not decode
        and can_take(simulation, call, target.number)
    ):
        decode.unbind(call)
        target.bind(call)
        call.decode = target.number
        decode = target
    if call.stage == INBOUND:
        decode.enqueue(call)
        simulation.dirty.add(decode.number)


def is_possible(simulation: "Simulation", call: RevealedCall, assignment: Assignment) -> bool:
    """Return whether the instances have the right roles and can take the call."""
    p, d = assignment.prefill, assignment.decode
    count = len(simulation.instances)
    if not (0 <= p < count and 0 <= d < count):
        return False
    roles = simulation.roles
    if p == d:
        return roles[p] == "mixed" and can_take(simulation, call, p)
    return (
        roles[p] == "prefill"
        and roles[d] == "decode"
        and can_take(simulation, call, p)
        and can_take(simulation, call, d)
    )


def can_take(simulation: "Simulation", call: RevealedCall, number: int) -> bool:
    """Return whether an instance is up and large enough for `call`, as far as is known."""
    instance = simulation.instances[number]
    return (
        instance.up
        and instance.pool.capacity >= call.length
        and (not call.forbidden or number not in call.forbidden)
    )


def _refusal(simulation: "Simulation", call: RevealedCall, assignment: Assignment) -> PolicyError:
    return PolicyError(
        f"policy {simulation.policy.name!r} places call {call.number} "
        f"({call.length} tokens) on instances {assignment.prefill} and "
        f"{assignment.decode}; allowed: up, of the right role, with a large enough pool"
    )
