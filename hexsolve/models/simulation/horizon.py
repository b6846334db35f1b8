"""The standalone horizon H_w: how long a workflow takes with the whole cluster to itself."""

from collections.abc import Iterator, Sequence

from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.clock import (
    TICKS_PER_SECOND,
    StepClock,
    prefill_ticks,
    to_seconds,
    to_ticks,
)
from hexsolve.models.simulation.cluster import SimulatedCluster, SimulatedInstance
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.policy import Assignment, BasePolicy
from hexsolve.models.simulation.view import ClusterView, InstanceView
from hexsolve.models.workflow import Call, Workflow


class EarliestCompletion(BasePolicy):
    """Places each ready call where its projected completion is earliest.

    The projection of (p, d): until p is free, the tokens queued at p as one batch, the call's
    prefill with what p has cached, the transfer of what d lacks at the full speed of the slower
    end, and the predicted decode steps in d's batch plus this call. Ties go to the lower numbers.
    """

    name = "earliest-completion"

    def __init__(self) -> None:
        self._kinds: list[int] = []

    def start(self, view: ClusterView) -> None:
        """Find out which instances are alike."""
        seen: list[SimulatedInstance] = []
        self._kinds = []
        for instance in view.instances:
            nameless = instance.spec.model_copy(update={"name": "any"})
            if nameless not in seen:
                seen.append(nameless)
            self._kinds.append(seen.index(nameless))

    def place(
        self, view: ClusterView, ready: Sequence[RevealedCall]
    ) -> Iterator[tuple[RevealedCall, Assignment]]:
        """Assign the ready calls by number, each knowing the ones before."""
        for call in ready:
            best: tuple[float, int, int] | None = None
            decodes = [
                (self._decode_seconds(call, d), d) for d in self._distinct(view, call, view.decodes)
            ]
            for p in self._distinct(view, call, view.prefills):
                prefilled = self._prefill_seconds(p, call)
                for decoded, d in decodes:
                    option = (prefilled + decoded + _transfer(view, call, p, d), p.number, d.number)
                    if best is None or option < best:
                        best = option
            for m in self._distinct(view, call, view.mixed):
                option = (self._mixed_seconds(m, call), m.number, m.number)
                if best is None or option < best:
                    best = option
            if best is not None:
                yield call, Assignment(best[1], best[2], call.revealed_s)

    def _distinct(
        self, view: ClusterView, call: RevealedCall, instances: Sequence[InstanceView]
    ) -> list[InstanceView]:
        """Return the instances that can take the call, of idle, empty and equal ones the first."""
        chosen = []
        seen: list[int] = []
        for instance in instances:
            if not view.can_take(call, instance.number):
                continue
            if instance.untouched:
                kind = self._kinds[instance.number]
                if kind in seen:
                    continue
                seen.append(kind)
            chosen.append(instance)
        return chosen

    @staticmethod
    def _prefill_seconds(p: InstanceView, call: RevealedCall) -> float:
        cached = min(p.cached_tokens(call), call.length - 1)
        prefill = p.spec.performance.prefill
        seconds = p.free_in_s + prefill.call_seconds(call.length - cached, cached)
        if p.pending_tokens:
            seconds += prefill.call_seconds(p.pending_tokens, 0)
        return seconds

    @staticmethod
    def _decode_seconds(call: RevealedCall, d: InstanceView) -> float:
        steps = call.remaining_output - 1
        if steps < 1:
            return 0.0
        batch = d.bound + 1
        context = d.context_tokens + d.bound_tokens + call.length
        return d.spec.performance.decode.steps_seconds(batch, context, steps)

    @staticmethod
    def _mixed_seconds(m: InstanceView, call: RevealedCall) -> float:
        cached = min(m.cached_tokens(call), call.length - 1)
        mixed = m.spec.performance.mixed
        new = call.length - cached + m.pending_tokens
        chunks = -(-new // m.spec.token_budget)
        seconds = chunks * mixed.m0 + mixed.prefill_seconds(new, new * (cached + new / 2.0))
        steps = call.remaining_output - 1
        batch = m.bound + 1
        context = m.context_tokens + call.length + batch * steps / 2.0
        return seconds + steps * mixed.step_seconds(batch, context, 0.0, 0.0)


def _transfer(view: ClusterView, call: RevealedCall, p: InstanceView, d: InstanceView) -> float:
    if call.remaining_output <= 1:
        return 0.0
    missing = call.length - d.cached_tokens(call)
    size = missing * p.spec.performance.kv_bytes_per_token
    speed = min(p.spec.nic_bandwidth, d.spec.nic_bandwidth)
    return view.cluster.transfer_latency_s + size / speed


class _Truth:
    """An oracle."""

    def predict(self, workflow: Workflow, index: int) -> int:
        return workflow.calls[index].output_tokens

    def observe(self, workflow: Workflow, index: int) -> None:
        pass


def simulated_horizon(cluster: SimulatedCluster, workflow: Workflow) -> float:
    """Return H_w in seconds by simulating `workflow` alone with `EarliestCompletion`."""
    alone = Workflow(
        workflow.name, 0.0, workflow.calls, workflow.workflow_class, workflow.prefix_group
    )
    record = Simulation(_without_failures(cluster), [alone], EarliestCompletion(), _Truth()).run()
    return record.finish[0]


def standalone_horizons(cluster: SimulatedCluster, workflows: Sequence[Workflow]) -> list[float]:
    """Return H_w of each workflow, s: alone on the empty cluster, true lengths, no failures.

    A property of workflow and cluster, the same for every policy. Workflows with equal calls are
    simulated once; workflows of one call are worked out directly, to the same result.
    """
    cluster = _without_failures(cluster)
    single = _SingleCalls(cluster)
    known: dict[tuple[Call, ...], float] = {}
    horizons = []
    for workflow in workflows:
        calls = workflow.calls
        if calls not in known:
            # A root text shared with other workflows is not there yet: the group is irrelevant.
            known[calls] = (
                single.horizon(calls[0])
                if len(calls) == 1
                else simulated_horizon(cluster, workflow)
            )
        horizons.append(known[calls])
    return horizons


def _without_failures(cluster: SimulatedCluster) -> SimulatedCluster:
    return cluster.model_copy(update={"failures": ()}) if cluster.failures else cluster


class _SingleCalls:
    """H_w of workflows with one call: one pass through each distinct pair of idle instances."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster
        distinct: list[SimulatedInstance] = []
        for spec in cluster.instances:
            nameless = spec.model_copy(update={"name": "any"})
            if nameless not in distinct:
                distinct.append(nameless)
        self.prefills = [spec for spec in distinct if spec.role == "prefill"]
        self.decodes = [
            (spec, StepClock(spec.performance.decode)) for spec in distinct if spec.role == "decode"
        ]
        self.has_mixed = any(spec.role == "mixed" for spec in distinct)

    def horizon(self, call: Call) -> float:
        """Return H_w, s."""
        if self.has_mixed:
            return simulated_horizon(self.cluster, Workflow("w", 0.0, (call,)))
        best: tuple[float, int] | None = None
        length, output = call.prompt_tokens, call.output_tokens
        steps = max(0, output - 1)
        largest = max(spec.capacity for spec, _ in self.decodes)
        for p in self.prefills:
            if p.capacity < length:
                continue
            prefill = prefill_ticks(p.performance.prefill, length, length * length)
            for d, clock in self.decodes:
                # A pool that cannot hold the output sends the call back: simulate that.
                if d.capacity < length + steps < largest + 1:
                    return simulated_horizon(self.cluster, Workflow("w", 0.0, (call,)))
                if d.capacity < length:
                    continue
                span = prefill
                # The same projection as `EarliestCompletion` makes, which decides.
                projected = p.performance.prefill.call_seconds(length, 0)
                if steps:
                    size = length * p.performance.kv_bytes_per_token
                    projected += d.performance.decode.steps_seconds(1, length, steps)
                    projected += self.cluster.transfer_latency_s + size / min(
                        p.nic_bandwidth, d.nic_bandwidth
                    )
                    span += to_ticks(self.cluster.transfer_latency_s)
                    span += _flow_ticks(p, d, length)
                    first = clock.base(1) + clock.slope * length
                    span += steps * first + clock.slope * (steps * (steps - 1) // 2)
                if best is None or projected < best[0]:
                    best = (projected, span)
        assert best is not None, "checked when the simulation was set up"
        return to_seconds(to_ticks(call.tool_seconds) + best[1])


def _flow_ticks(p: SimulatedInstance, d: SimulatedInstance, tokens: int) -> int:
    work = tokens * round(p.performance.kv_bytes_per_token) * TICKS_PER_SECOND
    rate = max(1, min(round(p.nic_bandwidth), round(d.nic_bandwidth)))
    return -(-work // rate)
