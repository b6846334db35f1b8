"""Work conservation: between two instants nobody idles who could take a waiting call."""

import pytest

from hexsolve.models.simulation.calls import RevealedCall, RevealedWorkflow
from hexsolve.models.simulation.clock import SECOND
from hexsolve.models.simulation.decode import DecodeInstance
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.mixed import MixedInstance
from hexsolve.models.simulation.prefill import PrefillInstance
from tests.simulation.scenarios import Guess, Scripted, random_scenario


class Instants:
    """Notes when something happens."""

    def __init__(self) -> None:
        self.ticks: set[int] = set()

    def call(self, event: str, now: int, call: RevealedCall, instance: int) -> None:
        self.ticks.add(now)

    def workflow(self, event: str, now: int, workflow: RevealedWorkflow) -> None:
        self.ticks.add(now)


def first_waiting(heap: list) -> RevealedCall | None:
    """Return the first call of a queue that is not a stale entry."""
    waiting = [call for _, _, ticket, call in sorted(heap) if ticket == call.ticket]
    return waiting[0] if waiting else None


def prefill_idles(instance: PrefillInstance, now: int) -> bool:
    call = first_waiting(instance.queue)
    if call is None or instance.free_at > now:
        return False
    pool = instance.pool
    return pool.pinned + pool.unpinned(call.number, call.length) <= pool.capacity


def decode_idles(instance: DecodeInstance) -> bool:
    """Whether the batch stands still, or a call is not admitted that fits."""
    if not instance.stepping and (instance.batch or instance.landed):
        return True
    call = first_waiting(instance.inbound)
    if call is None or instance.admitted >= instance.max_batch:
        return False
    pool = instance.pool
    room = pool.capacity - pool.pinned
    if instance.promises:
        room -= instance.promised() + instance.promise(call)
    return pool.unpinned(call.number, call.length) <= room


def mixed_idles(instance: MixedInstance) -> bool:
    """Whether no step runs although calls are here and the first one that waits would fit."""
    if instance.stepping:
        return False
    if instance.batch or instance.filling:
        return True
    call = first_waiting(instance.queue)
    return call is not None and instance.pool.unpinned(call.number, call.length) <= (
        instance.pool.capacity
    )


def test_no_instance_idles_while_a_call_that_fits_waits():
    waited = {PrefillInstance: 0, DecodeInstance: 0, MixedInstance: 0}
    for seed in range(60):
        cluster, workflows = random_scenario(seed)
        instants = Instants()
        Simulation(cluster, workflows, Scripted(seed), Guess(seed), listener=instants).run()
        run = Simulation(cluster, workflows, Scripted(seed), Guess(seed))
        for now in sorted(instants.ticks):
            run.run(until_s=now / SECOND)
            assert run.now == now
            for instance in run.instances:
                if not instance.up:
                    continue
                kind = type(instance)
                if isinstance(instance, PrefillInstance):
                    waited[kind] += first_waiting(instance.queue) is not None
                    assert not prefill_idles(instance, now)
                elif isinstance(instance, DecodeInstance):
                    waited[kind] += first_waiting(instance.inbound) is not None
                    instance.sync(now, True)
                    assert not decode_idles(instance)
                else:
                    waited[kind] += first_waiting(instance.queue) is not None
                    assert not mixed_idles(instance)
    # Queues were not empty all the time.
    assert min(waited.values()) > 50


@pytest.mark.parametrize("seed", range(20))
def test_the_work_done_is_the_work_there_was(seed):
    """Every prompt token was computed or found, every output token but the first was a step's."""
    cluster, workflows = random_scenario(seed)
    cluster = cluster.model_copy(update={"failures": ()})
    run = Simulation(cluster, workflows, Scripted(seed), Guess(seed))
    record = run.run()
    calls = [call for workflow in run.workflows for call in workflow.calls]
    counts = record.counts
    for number, call in enumerate(calls):
        work = counts["cached"][number] + counts["computed"][number]
        if not counts["preemptions"][number]:
            assert work == call.prompt_tokens
        else:
            assert work > call.prompt_tokens
    decoded = sum(instance.decoded_tokens for instance in record.instances)
    steps = sum(max(0, call.output_tokens - 1) for call in calls)
    # A prefill emits a token, a rebuild another one.
    assert steps - sum(counts["preemptions"]) <= decoded <= steps
