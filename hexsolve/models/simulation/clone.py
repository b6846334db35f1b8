"""Copies of a running simulation: as it is, or as a planner believes it to be."""

from collections.abc import Callable
from heapq import heapify
from typing import TYPE_CHECKING

from hexsolve.models.simulation.calls import RevealedCall, RevealedWorkflow
from hexsolve.models.simulation.checks import largest_call
from hexsolve.models.simulation.copies import shallow
from hexsolve.models.simulation.decode import DecodeInstance
from hexsolve.models.simulation.events import Event, push, without
from hexsolve.models.simulation.links import Links
from hexsolve.models.simulation.mixed import MixedInstance
from hexsolve.models.simulation.policy import Policy, Predictor
from hexsolve.models.simulation.prefill import Entry, PrefillInstance
from hexsolve.models.simulation.stepping import Run, RunEnd, SteppingInstance

if TYPE_CHECKING:
    from hexsolve.models.simulation.engine import Instance, Simulation


def clone(simulation: "Simulation", policy: Policy, predictor: Predictor) -> "Simulation":
    """Return an independent copy that goes on under `policy`, which is started on it.

    Cost: proportional to calls under way and cached runs, plus a copy of the record's columns.
    Complete calls, workflow definitions and the prefix tree are shared. There is no listener.
    Plans of the old policy that still wait to be applied are dropped.
    """
    from hexsolve.models.simulation.view import ClusterView

    twin = shallow(simulation)
    copies = _Copies()
    twin.policy, twin.predictor = policy, predictor
    twin.listener = twin.progress = None
    twin.record = simulation.record.copy()
    twin.live = {number: copies.call(call) for number, call in simulation.live.items()}
    twin.waiting = [copies.call(call) for call in simulation.waiting]
    twin.open = {}
    for number, state in simulation.open.items():
        twin.open[number] = state.copy(copies.workflow(state.revealed))
    twin.pending = simulation.pending.copy()
    twin.plans = {}
    twin.planning = False
    twin.dirty = simulation.dirty.copy()
    twin.decide_now = bool(twin.waiting)
    twin.heap = simulation.heap.copy()
    twin.outputs = simulation.outputs.copy()
    twin.instances = [_instance(simulation, each, copies) for each in simulation.instances]
    twin.links = _links(simulation.links, copies)
    twin.view = ClusterView(twin)
    policy.start(twin.view)
    if twin.over:
        twin.view.close()
    return twin


def believe(simulation: "Simulation", output: Callable[[RevealedCall], int] | None = None) -> None:
    """Turn a clone into what a scheduler may believe: nothing unrevealed, predicted lengths.

    Calls that are not revealed and workflows that have not arrived will never come; each live call
    ends after ``output(call)`` tokens (its prediction if left out), as far as a pool can hold them,
    but not before its next one. A workflow is complete when its revealed calls are.
    """
    predicted = output or (lambda call: call.predicted_output)
    simulation.stop_arrivals()
    simulation.pending = {}
    left: dict[int, int] = {}
    for call in simulation.live.values():
        left[call.workflow.number] = left.get(call.workflow.number, 0) + 1
    for number in list(simulation.open):
        if number not in left:
            del simulation.open[number]
            continue
        state = simulation.open[number]
        state.left = left[number]
        state.children = [None] * len(state.children)
    from hexsolve.models.simulation.engine import REVEAL, STEP

    simulation.heap = without(simulation.heap, REVEAL)
    most = largest_call(simulation.cluster)
    for number, call in simulation.live.items():
        believed = min(predicted(call), most - call.prompt_tokens + 1)
        simulation.outputs[number] = max(believed, call.emitted + 1)
    for instance in simulation.instances:
        if isinstance(instance, PrefillInstance) or not instance.batch:
            continue
        instance.sync(simulation.now, simulation.again)
        waits = isinstance(instance, DecodeInstance) and bool(instance.landed)
        end = instance.expect(simulation.outputs, waits)
        if end >= 0:
            push(simulation.heap, Event(end, STEP, instance.number, instance.version))


class _Copies:
    """Each call and workflow once."""

    def __init__(self) -> None:
        self._calls: dict[int, RevealedCall] = {}
        self._workflows: dict[int, RevealedWorkflow] = {}

    def workflow(self, workflow: RevealedWorkflow) -> RevealedWorkflow:
        twin = self._workflows.get(workflow.number)
        if twin is None:
            twin = RevealedWorkflow(
                workflow.number, workflow.name, workflow.workflow_class, workflow.arrived
            )
            self._workflows[workflow.number] = twin
            twin.calls = [call if call.done else self.call(call) for call in workflow.calls]
        return twin

    def call(self, call: RevealedCall) -> RevealedCall:
        twin = self._calls.get(call.number)
        if twin is None:
            twin = self._calls[call.number] = shallow(call)
            twin.workflow = self.workflow(call.workflow)
        return twin

    def queue(self, entries: list[Entry]) -> list[Entry]:
        """Copy a queue without its stale entries."""
        kept = [
            (priority, sequence, ticket, self.call(call))
            for priority, sequence, ticket, call in entries
            if ticket == call.ticket
        ]
        heapify(kept)
        return kept


def _links(links: Links, copies: _Copies) -> Links:
    twin = Links(links.bandwidth, links.bytes_per_token)
    twin.touched = links.touched.copy()
    twin.sent_bytes = links.sent_bytes.copy()
    twin.received_bytes = links.received_bytes.copy()
    twin.leaving = [[copies.call(call) for call in flows] for flows in links.leaving]
    twin.entering = [[copies.call(call) for call in flows] for flows in links.entering]
    return twin


def _instance(simulation: "Simulation", instance: "Instance", copies: _Copies) -> "Instance":
    twin = shallow(instance)
    twin.pool = instance.pool.clone(simulation.tree)
    if isinstance(instance, PrefillInstance):
        assert isinstance(twin, PrefillInstance)
        twin.queue = copies.queue(instance.queue)
        twin.batches = {
            number: [(copies.call(call), ticket) for call, ticket in batch if call.ticket == ticket]
            for number, batch in instance.batches.items()
        }
        return twin
    assert isinstance(twin, SteppingInstance)
    _copy_batch(instance, twin, copies)
    if isinstance(instance, DecodeInstance):
        assert isinstance(twin, DecodeInstance)
        twin.inbound = copies.queue(instance.inbound)
        twin.landed = [copies.call(call) for call in instance.landed]
    else:
        assert isinstance(twin, MixedInstance)
        twin.queue = copies.queue(instance.queue)
        twin.filling = [copies.call(call) for call in instance.filling]
        twin.chunks = [(copies.call(call), chunk) for call, chunk in instance.chunks]
        twin.preempted = []
    return twin


def _copy_batch(instance: SteppingInstance, twin: SteppingInstance, copies: _Copies) -> None:
    runs: dict[int, Run] = {}
    for number, run in instance.runs.items():
        each = shallow(run)
        each.call = copies.call(run.call)
        runs[number] = each
    twin.runs = runs
    twin.ends = []
    for end in instance.ends:
        if end.run.running:
            push(twin.ends, RunEnd(end.at, runs[end.key]))
    twin.promise_ends = []
    for end in instance.promise_ends:
        if end.run.running and end.run.promise_end >= 0:
            push(twin.promise_ends, RunEnd(end.at, runs[end.key]))
