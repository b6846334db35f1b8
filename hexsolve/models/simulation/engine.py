"""The event loop: arrivals, reveals, decisions, and what instances start and end."""

from bisect import insort
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from mypy_extensions import mypyc_attr

from hexsolve.models.errors import HexsolveError
from hexsolve.models.simulation.calls import (
    DONE,
    READY,
    TRANSFER,
    RevealedCall,
    RevealedWorkflow,
)
from hexsolve.models.simulation.checks import check_sizes
from hexsolve.models.simulation.clock import to_ticks
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.simulation.collector import rare_collections
from hexsolve.models.simulation.decode import DecodeInstance
from hexsolve.models.simulation.dispatch import assign, enqueue, is_possible
from hexsolve.models.simulation.events import Event, pop, push
from hexsolve.models.simulation.failures import fail, recover
from hexsolve.models.simulation.links import Links
from hexsolve.models.simulation.mixed import MixedInstance
from hexsolve.models.simulation.open_workflow import OpenWorkflow
from hexsolve.models.simulation.policy import Plan, Policy, Predictor
from hexsolve.models.simulation.pool import KVPool
from hexsolve.models.simulation.prefill import PrefillInstance
from hexsolve.models.simulation.prefixes import PrefixTree
from hexsolve.models.simulation.record import Listener, RunRecord
from hexsolve.models.simulation.view import ClusterView
from hexsolve.models.workflow import Workflow

Instance = PrefillInstance | DecodeInstance | MixedInstance

# Kinds of events, in the order in which they are handled at one instant.
FAILURE: Final = 0
PREFILL_END: Final = 1
PREFILL_FREE: Final = 2
FLOW_END: Final = 3
LANDING: Final = 4
STEP: Final = 5
REVEAL: Final = 6
PLAN: Final = 7
EPOCH: Final = 8

NEVER: Final = -1

# Epochs at which nothing else is under way before a run is given up.
IDLE_EPOCHS: Final = 1000


class SimulationError(HexsolveError):
    """A run that cannot go on: calls left over that no instance will ever take."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Simulation:
    """One run of `workflows` on `cluster` under `policy`; see docs/simulation.md.

    Parameters
    ----------
    cluster : SimulatedCluster
    workflows : sequence of Workflow
        In any order; they are run by arrival.
    policy : Policy
    predictor : Predictor
    listener : Listener, optional
        Is told every event.
    progress : callable, optional
        Called with the number of complete calls about every thousand.

    Raises
    ------
    InputError
        If a call fits no prefill pool or no decode pool; it is named.
    """

    def __init__(
        self,
        cluster: SimulatedCluster,
        workflows: Sequence[Workflow],
        policy: Policy,
        predictor: Predictor,
        listener: Listener | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.cluster = cluster
        self.workflows = sorted(workflows, key=lambda workflow: workflow.arrival_s)
        self.policy = policy
        self.predictor = predictor
        self.listener = listener
        self.progress = progress
        check_sizes(cluster, self.workflows)
        self.total_calls = sum(len(workflow.calls) for workflow in self.workflows)
        self.tree = PrefixTree(self.total_calls, cluster.prefix_caching)
        promises = cluster.admission == "predicted"
        self.instances: list[Instance] = []
        for number, spec in enumerate(cluster.instances):
            pool = KVPool(spec.capacity, self.tree, cluster.prefix_caching)
            if spec.role == "prefill":
                self.instances.append(PrefillInstance(number, spec, pool))
            elif spec.role == "decode":
                self.instances.append(DecodeInstance(number, spec, pool, promises))
            else:
                self.instances.append(MixedInstance(number, spec, pool, promises))
        self.links = Links(
            [max(1, round(spec.nic_bandwidth)) for spec in cluster.instances],
            [round(spec.performance.kv_bytes_per_token) for spec in cluster.instances],
        )
        self.roles = [spec.role for spec in cluster.instances]
        self._latency = to_ticks(cluster.transfer_latency_s)
        self.now = 0
        # Events so far, those included that something else had overtaken.
        self.handled = 0
        self.again = False
        self.over = False
        self.live: dict[int, RevealedCall] = {}
        self.waiting: list[RevealedCall] = []
        self.record = RunRecord(self.total_calls, len(self.workflows))
        self.open: dict[int, OpenWorkflow] = {}
        self.outputs: list[int] = []
        self.pending: dict[int, int] = {}
        self.plans: dict[int, tuple[Plan, list[int]]] = {}
        self._next_plan = 0
        self.planning = False
        self._changed = False
        self.decide_now = False
        self._arrived = 0
        self._idle_epochs = 0
        self._next_arrival = NEVER
        self._schedule_arrival()
        self._first_number = 0
        self.sequence = 0
        self.dirty: set[int] = set()
        self.heap: list[Event] = []
        names = [spec.name for spec in cluster.instances]
        for failure in cluster.failures:
            number = names.index(failure.instance)
            push(self.heap, Event(to_ticks(failure.at_s), FAILURE, number, 0))
            if failure.until_s is not None:
                push(self.heap, Event(to_ticks(failure.until_s), FAILURE, number, 1))
        self.view = ClusterView(self)
        self._epoch = 0 if policy.epoch_s is None else max(1, to_ticks(policy.epoch_s))
        policy.start(self.view)

    # ------------------------------------------------------------------ the clock

    def run(self, until_s: float | None = None) -> RunRecord:
        """Run to the end, or up to and including `until_s`; return what was recorded.

        Raises
        ------
        SimulationError
            If calls are left over: no instance that is up is large enough for them, or the policy
            never placed them.
        """
        with rare_collections():
            try:
                return self._run(None if until_s is None else to_ticks(until_s))
            except BaseException:
                self.end()
                raise

    def end(self) -> None:
        """Let go of the views, which refer to this as this refers to them."""
        if not self.over:
            self.over = True
            self.view.close()

    def _run(self, limit: int | None) -> RunRecord:
        if self.over:
            return self.record
        heap = self.heap
        if self.dirty or self.decide_now or self.links.touched:
            # A clone made amid an instant.
            self._instant()
        while True:
            t = self._next_arrival
            if heap and (t == NEVER or heap[0].at < t):
                if t == NEVER and not (self.live or self.pending):
                    break
                t = heap[0].at
            elif t == NEVER:
                break
            if limit is not None and t > limit:
                return self.record
            self.now = t
            self.again = False
            self._instant()
        if self.live:
            raise SimulationError(self._left_over())
        self.record.close(self)
        self.end()
        return self.record

    def _instant(self) -> None:
        """Let everything happen that happens now, in rounds of ends, decisions and starts."""
        t, heap, dirty, links = self.now, self.heap, self.dirty, self.links
        while True:
            while heap and heap[0].at == t:
                event = pop(heap)
                self.handled += 1
                self._handle(event.kind, event.key, event.version)
            while self._next_arrival == t:
                self._arrive()
            if self.decide_now or self._changed:
                self._decide()
            if dirty:
                if len(dirty) == 1:
                    self._start(dirty.pop())
                else:
                    numbers = sorted(dirty)
                    dirty.clear()
                    for number in numbers:
                        self._start(number)
            if links.touched:
                for end, number, version in links.settle(t):
                    push(heap, Event(end, FLOW_END, number, version))
            # Whoever looks from now on sees what was just started.
            self.again = True
            if not ((heap and heap[0].at == t) or dirty or self.decide_now):
                return

    def _handle(self, kind: int, key: int, version: int) -> None:
        """Let an event happen, unless something has overtaken it."""
        if kind == STEP:
            instance = self.instances[key]
            assert not isinstance(instance, PrefillInstance)
            if version == instance.version:
                self._end_steps(instance)
        elif kind == LANDING:
            call = self.live.get(key)
            if call is not None and call.attempt == version and call.stage == TRANSFER:
                self._land(call)
        elif kind == FLOW_END:
            call = self.live.get(key)
            if call is not None and call.flow_version == version:
                self._end_flow(call)
        elif kind == PREFILL_END:
            self._end_batch(key, version)
        elif kind == REVEAL:
            self._reveal(key, self.pending.pop(key))
        elif kind == PREFILL_FREE:
            self.dirty.add(key)
        elif kind == EPOCH:
            self._epoch_due()
        elif kind == PLAN:
            late = self.plans.pop(key, None)
            if late is not None:
                self._apply_late(late[0], late[1])
        elif version:
            recover(self, key)
        else:
            fail(self, key)

    def _epoch_due(self) -> None:
        self._changed = True
        # With nothing else to come, a policy that holds calls this long never places them.
        more = bool(self.heap) or self._next_arrival != NEVER
        self._idle_epochs = 0 if more else self._idle_epochs + 1
        if self._idle_epochs < IDLE_EPOCHS:
            push(self.heap, Event(self.now + self._epoch, EPOCH, 0, 0))

    # ------------------------------------------------------------------ workflows

    def _schedule_arrival(self) -> None:
        """Find out when the next workflow arrives."""
        self._next_arrival = NEVER
        if self._arrived < len(self.workflows):
            self._next_arrival = to_ticks(self.workflows[self._arrived].arrival_s)

    def stop_arrivals(self) -> None:
        """Let no more workflows arrive."""
        self._next_arrival = NEVER

    def _arrive(self) -> None:
        number = self._arrived
        workflow = self.workflows[number]
        first = self._first_number
        self._arrived += 1
        self._schedule_arrival()
        self._first_number += len(workflow.calls)
        self.outputs += [call.output_tokens for call in workflow.calls]
        self.tree.add(number, workflow, first)
        revealed = RevealedWorkflow(number, workflow.name, workflow.workflow_class, self.now)
        state = self.open[number] = OpenWorkflow(workflow, first, revealed)
        self.record.workflow_arrived(number, self.now)
        if self.listener is not None:
            self.listener.workflow("arrive", self.now, revealed)
        if self._epoch and number == 0:
            push(self.heap, Event(self.now + self._epoch, EPOCH, 0, 0))
        for index in range(len(workflow.calls)):
            if not state.missing[index]:
                self._schedule_reveal(state, index)

    def _schedule_reveal(self, state: OpenWorkflow, index: int) -> None:
        number = state.first + index
        delay = state.workflow.calls[index].tool_seconds
        workflow = state.revealed.number
        ticks = to_ticks(delay) if delay else 0
        if ticks:
            self.pending[number] = workflow
            push(self.heap, Event(self.now + ticks, REVEAL, number, 0))
        else:
            self._reveal(number, workflow)

    def _reveal(self, number: int, workflow: int) -> None:
        state = self.open[workflow]
        index = number - state.first
        call = state.workflow.calls[index]
        revealed = RevealedCall(
            number,
            state.revealed,
            index,
            call.name,
            call.parents,
            call.prompt_tokens,
            self.predictor.predict(state.workflow, index),
            self.now,
        )
        state.revealed.calls.append(revealed)
        self.live[number] = revealed
        self.make_ready(revealed)

    def make_ready(self, call: RevealedCall) -> None:
        """Let `call` wait for a decision, with what it has emitted as part of its prompt."""
        call.stage = READY
        call.length = call.prompt_tokens + call.emitted
        self.decide_now = True
        waiting = self.waiting
        if not waiting or waiting[-1].number < call.number:
            waiting.append(call)
        else:
            insort(waiting, call, key=lambda other: other.number)

    def _complete(self, call: RevealedCall) -> None:
        call.stage = DONE
        call.finished = self.now
        del self.live[call.number]
        workflow = call.workflow
        state = self.open[workflow.number]
        self.record.call_done(call)
        if self.listener is not None:
            self.listener.call("done", self.now, call, call.decode)
        self.predictor.observe(state.workflow, call.index)
        self.policy.completed(self.view, call)
        self._changed = self.policy.epoch_on_change or self._changed
        state.left -= 1
        if self.progress is not None and self.record.done % 1024 == 0:
            self.progress(self.record.done)
        children = state.children[call.index]
        if children is not None:
            missing = state.missing
            for child in children:
                missing[child] -= 1
                if not missing[child]:
                    self._schedule_reveal(state, child)
        if not state.left:
            workflow.finished = self.now
            self.record.workflow_done(workflow)
            del self.open[workflow.number]
            if self.listener is not None:
                self.listener.workflow("done", self.now, workflow)
            # Without this cycle of references the garbage collector has nothing to do.
            workflow.calls = []

    # ------------------------------------------------------------------ decisions

    def _decide(self) -> None:
        policy = self.policy
        if self.decide_now:
            self.decide_now = False
            self._changed = self._changed or policy.epoch_on_change
            if self.waiting:
                for call, assignment in policy.place(self.view, tuple(self.waiting)):
                    assign(self, call, assignment)
                self.waiting = [call for call in self.waiting if call.stage == READY]
        if self._changed:
            self._changed = False
            if not self.planning and (self._epoch or policy.epoch_on_change):
                self._request_plan()

    def _request_plan(self) -> None:
        plan = self.policy.plan(self.view)
        if plan is None:
            return
        delay = to_ticks(plan.latency_s)
        if delay <= 0:
            for call, assignment in plan.assignments:
                assign(self, call, assignment)
            self._applied()
            return
        self.planning = True
        self.plans[self._next_plan] = plan, [call.stage for call, _ in plan.assignments]
        push(self.heap, Event(self.now + delay, PLAN, self._next_plan, 0))
        self._next_plan += 1

    def _apply_late(self, plan: Plan, stages: list[int]) -> None:
        """Apply a plan made earlier, where the world is still the one that it was made for.

        What has begun, ended or lost its instance since then stays as it is: the plan did not
        foresee it.
        """
        self.planning = False
        for (call, assignment), stage in zip(plan.assignments, stages, strict=True):
            if call.stage != stage or (stage == READY and not is_possible(self, call, assignment)):
                self.record.stale_assignments += 1
            else:
                assign(self, call, assignment)
        self._applied()

    def _applied(self) -> None:
        self.waiting = [call for call in self.waiting if call.stage == READY]
        self.decide_now = bool(self.waiting)

    # ------------------------------------------------------------------ ends

    def _end_batch(self, key: int, batch: int) -> None:
        instance = self.instances[key]
        assert isinstance(instance, PrefillInstance)
        if batch not in instance.batches:
            return
        self.dirty.add(key)
        for call in instance.finish(batch):
            call.prefill_end = self.now
            if self.listener is not None:
                self.listener.call("prefilled", self.now, call, key)
            if self._emit(call):
                decode = self.instances[call.decode]
                assert isinstance(decode, DecodeInstance)
                decode.unbind(call)
                instance.pool.release(call.number, call.length)
                self._complete(call)
            else:
                decode = self.instances[call.decode]
                assert isinstance(decode, DecodeInstance)
                decode.enqueue(call)
                self.dirty.add(call.decode)

    def _emit(self, call: RevealedCall) -> bool:
        """Let a prefill emit its token; return whether that completes the call."""
        output = self.outputs[call.number]
        if output:
            if not call.emitted:
                call.first_token = self.now
            call.emitted += 1
        return call.emitted >= output

    def _end_flow(self, call: RevealedCall) -> None:
        self.links.end(call)
        if self._latency:
            push(self.heap, Event(self.now + self._latency, LANDING, call.number, call.attempt))
        else:
            self._land(call)

    def _land(self, call: RevealedCall) -> None:
        call.landed = self.now
        prefill = self.instances[call.prefill]
        assert isinstance(prefill, PrefillInstance)
        prefill.pool.release(call.number, call.length)
        if prefill.queue and prefill.free_at <= self.now:
            self.dirty.add(call.prefill)
        decode = self.instances[call.decode]
        assert isinstance(decode, DecodeInstance)
        decode.land(call)
        self.dirty.add(call.decode)
        if self.listener is not None:
            self.listener.call("landed", self.now, call, call.decode)

    def _end_steps(self, instance: DecodeInstance | MixedInstance) -> None:
        self.dirty.add(instance.number)
        instance.end_steps()
        for run in instance.ended():
            instance.leave(run)
            self._complete(run.call)
        if isinstance(instance, MixedInstance):
            for call in instance.finish_chunks():
                call.prefill_end = call.landed = self.now
                if self._emit(call):
                    instance.leave_filled(call)
                    self._complete(call)
                else:
                    instance.join(call, self.outputs[call.number] - call.emitted)

    # ------------------------------------------------------------------ starts

    def _start(self, number: int) -> None:
        instance = self.instances[number]
        if not instance.up:
            return
        if isinstance(instance, DecodeInstance):
            self._start_decode(instance)
        elif isinstance(instance, PrefillInstance):
            if self.policy.ranks_batches and instance.queue_changed:
                self._rank(instance)
            started = instance.start(self.now)
            if started is not None:
                batch, span, occupied = started
                push(self.heap, Event(self.now + span, PREFILL_END, number, batch))
                if occupied < span:
                    push(self.heap, Event(self.now + occupied, PREFILL_FREE, number, 0))
                if self.listener is not None:
                    for call, _ in instance.batches[batch]:
                        self.listener.call("prefill", self.now, call, number)
        else:
            end = instance.start(self.now, self.again)
            if end >= 0:
                push(self.heap, Event(end, STEP, number, instance.version))
            for call, alone in instance.preempted:
                self._preempt(instance, call, alone)

    def _rank(self, instance: PrefillInstance) -> None:
        """Let the policy order the queue of a free instance anew."""
        if instance.queue and instance.free_at <= self.now:
            instance.rank(partial(self.policy.rank, self.view, instance.number))

    def _start_decode(self, instance: DecodeInstance) -> None:
        now = self.now
        took_room = False
        if instance.inbound:
            for call, missing in instance.admit(now, self.again):
                took_room = True
                if missing:
                    self.links.begin(call, missing, now)
                else:
                    end = now + self._latency
                    push(self.heap, Event(end, LANDING, call.number, call.attempt))
                if self.listener is not None:
                    self.listener.call("transfer", now, call, instance.number)
        if instance.stepping:
            end = instance.pool_limit(now) if took_room else -1
            if instance.landed and end != now:
                boundary = instance.next_boundary(now, self.again)
                if boundary >= 0:
                    end = boundary
            if end != now:
                if end >= 0:
                    push(self.heap, Event(end, STEP, instance.number, instance.version))
                return
        for call in instance.landed:
            instance.join(call, self.outputs[call.number] - call.emitted)
            if self.listener is not None:
                self.listener.call("decode", now, call, instance.number)
        instance.landed.clear()
        while instance.overflows():
            run, alone = instance.preempt()
            self._preempt(instance, run.call, alone)
        if instance.batch:
            end = instance.plan_steps(now)
            push(self.heap, Event(end, STEP, instance.number, instance.version))

    def _preempt(
        self, instance: DecodeInstance | MixedInstance, call: RevealedCall, alone: bool
    ) -> None:
        call.preemptions += 1
        if self.listener is not None:
            self.listener.call("preempt", self.now, call, instance.number)
        self.dirty.add(instance.number)
        mixed = isinstance(instance, MixedInstance)
        # In a mixed instance's queue it would wait for ever once its pool cannot hold it.
        outgrown = mixed and call.prompt_tokens + call.emitted > instance.pool.capacity
        if alone or outgrown:
            call.forbidden = (*call.forbidden, instance.number)
        if mixed and not (alone or outgrown):
            call.length = call.prompt_tokens + call.emitted
            enqueue(self, call)
        else:
            self.make_ready(call)

    def _left_over(self) -> str:
        call = self.live[min(self.live)]
        return (
            f"{len(self.live)} calls cannot go on, first call {call.index} of workflow "
            f"{call.workflow.name!r} ({call.length} tokens): no instance that is up can take it, "
            f"or policy {self.policy.name!r} does not place it"
        )
