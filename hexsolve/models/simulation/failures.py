"""Instances that disappear, and the calls that must be redone."""

from typing import TYPE_CHECKING

from hexsolve.models.simulation.calls import (
    INBOUND,
    LANDED,
    PREFILLING,
    QUEUED,
    READY,
    TRANSFER,
    RevealedCall,
)
from hexsolve.models.simulation.decode import DecodeInstance
from hexsolve.models.simulation.dispatch import dequeue
from hexsolve.models.simulation.prefill import PrefillInstance

if TYPE_CHECKING:
    from hexsolve.models.simulation.engine import Simulation


def fail(simulation: "Simulation", number: int) -> None:
    """Let an instance disappear; its calls become ready again."""
    failed = simulation.instances[number]
    if not failed.up:
        return
    lost = [call for _, call in sorted(simulation.live.items()) if _is_lost(call, number)]
    stages = [call.stage for call in lost]
    if not isinstance(failed, PrefillInstance):
        for call in lost:
            failed.lose(call, simulation.now)
    failed.fail()
    for call, stage in zip(lost, stages, strict=True):
        _lose(simulation, call, stage)
        if simulation.listener is not None:
            simulation.listener.call("lost", simulation.now, call, number)
        simulation.make_ready(call)


def _is_lost(call: RevealedCall, number: int) -> bool:
    if call.stage == READY:
        return False
    if call.decode == number:
        return True
    return call.prefill == number and call.stage < LANDED


def _lose(simulation: "Simulation", call: RevealedCall, stage: int) -> None:
    """Withdraw a call from the instances that are still up."""
    if stage == QUEUED:
        dequeue(simulation, call)
        return
    prefill, decode = simulation.instances[call.prefill], simulation.instances[call.decode]
    call.ticket += 1
    call.flow_version += 1
    if stage == TRANSFER and call in simulation.links.leaving[call.prefill]:
        simulation.links.end(call)
    if stage in (PREFILLING, INBOUND, TRANSFER) and prefill.up and prefill is not decode:
        prefill.pool.release(call.number, call.length)
        simulation.dirty.add(call.prefill)
    if decode.up:
        assert isinstance(decode, DecodeInstance)
        if stage == TRANSFER:
            decode.withdraw(call)
        else:
            if stage == INBOUND:
                decode.inbound_tokens -= call.length
            decode.unbind(call)
        simulation.dirty.add(call.decode)


def recover(simulation: "Simulation", number: int) -> None:
    """Let an instance come back, empty."""
    simulation.instances[number].up = True
    simulation.dirty.add(number)
    simulation.decide_now = bool(simulation.waiting)
