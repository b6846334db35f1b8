"""The running standalone horizon H_w(t): the makespan of the revealed part of a workflow, alone."""

from hexsolve.models.simulation.calls import RevealedCall, RevealedWorkflow
from hexsolve.models.simulation.clock import TICKS_PER_SECOND
from hexsolve.models.simulation.cluster import SimulatedInstance
from hexsolve.models.simulation.view import ClusterView, InstanceView


class RunningHorizons:
    """H_w(t) of each workflow, renewed at every reveal and completion.

    ``H(c) = max_{parents} H(parent) + tool delay + alone(c)`` and ``H_w(t) = max_c H(c)`` over the
    revealed calls (arXiv 2605.16637). The tool delay is the observed one; ``alone(c)`` is the time
    of c on the best pair of the empty cluster, with what complete calls of its own workflow left of
    its prompt, whatever others have evicted or left there; its output length is the predicted one
    until it is complete and the true one from then on. Parallel calls of a workflow do not delay
    each other here: a cluster has room for the fan-out of one workflow.
    """

    def __init__(self, view: ClusterView) -> None:
        self._view = view
        self._pairs = _distinct_pairs(view)
        self._latency = view.cluster.transfer_latency_s
        self._reached: dict[int, float] = {}
        self._parts: dict[int, tuple[float, int, int, int]] = {}
        self._horizon: dict[int, float] = {}
        self._numbers: dict[int, list[int]] = {}

    def reveal(self, call: RevealedCall) -> None:
        """Take a revealed call into its workflow's horizon; again is harmless."""
        if call.number in self._reached:
            return
        self._numbers.setdefault(call.workflow.number, []).append(call.number)
        begin = call.workflow.arrived
        base = 0.0
        if call.parents:
            known = {other.index: other for other in call.workflow.calls}
            parents = [known[index] for index in call.parents]
            begin = max(parent.finished for parent in parents)
            base = max(self._reached[parent.number] for parent in parents)
        base += (call.revealed - begin) / TICKS_PER_SECOND
        cached, present = self._view.own_prefix(call)
        length = call.length
        new = max(1, length - cached)
        self._parts[call.number] = (base, new, length, length - present)
        self._set(call, base + self._alone(new, length, length - present, call.predicted_output))

    def completed(self, call: RevealedCall) -> None:
        """Replace the predicted output of a call by the observed one."""
        base, new, length, missing = self._parts.pop(call.number)
        if call.emitted == call.predicted_output:
            return
        self._set(call, base + self._alone(new, length, missing, call.emitted))
        self._horizon[call.workflow.number] = max(
            self._reached[number] for number in self._numbers[call.workflow.number]
        )

    def reached(self, call: RevealedCall) -> float:
        """Return H(c), the standalone time from the workflow's arrival to the call's end, s."""
        return self._reached[call.number]

    def alone(self, call: RevealedCall) -> float:
        """Return the predicted time of a call that is not complete on the empty cluster, s."""
        _, new, length, missing = self._parts[call.number]
        return self._alone(new, length, missing, call.predicted_output)

    def mean(self, call: RevealedCall) -> float:
        """Return the same, averaged over the different pairs, s."""
        _, new, length, missing = self._parts[call.number]
        times = self._times(new, length, missing, call.predicted_output)
        return sum(times) / len(times)

    def of(self, workflow: RevealedWorkflow) -> float:
        """Return H_w(t), s."""
        return self._horizon[workflow.number]

    def forget(self, workflow: RevealedWorkflow) -> None:
        """Drop a complete workflow."""
        self._horizon.pop(workflow.number, None)
        # The workflow's own list of calls is emptied when it completes.
        for number in self._numbers.pop(workflow.number, ()):
            self._reached.pop(number, None)

    def _set(self, call: RevealedCall, reached: float) -> None:
        self._reached[call.number] = reached
        number = call.workflow.number
        self._horizon[number] = max(self._horizon.get(number, 0.0), reached)

    def _alone(self, new: int, length: int, missing: int, output: int) -> float:
        return min(self._times(new, length, missing, output))

    def _times(self, new: int, length: int, missing: int, output: int) -> list[float]:
        """Return the seconds on each different pair of an empty cluster."""
        steps = output - 1
        times = []
        for p, d, transfer in self._pairs:
            performance = p.performance
            if p.role == "mixed":
                mixed = performance.mixed
                chunks = -(-new // p.token_budget)
                seconds = chunks * mixed.m0
                seconds += mixed.prefill_seconds(new, new * (length - new / 2.0))
                if steps > 0:
                    seconds += steps * mixed.step_seconds(1, length + steps / 2.0, 0.0, 0.0)
            else:
                seconds = performance.prefill.call_seconds(new, length - new)
                if steps > 0:
                    seconds += self._latency + missing * transfer
                    seconds += d.performance.decode.steps_seconds(1, length, steps)
            times.append(seconds)
        return times


def _distinct_pairs(
    view: ClusterView,
) -> list[tuple[SimulatedInstance, SimulatedInstance, float]]:
    """Return the different (prefill, decode, s per KV token); a mixed instance with itself."""
    pairs = []
    for p in _distinct(view.prefills):
        for d in _distinct(view.decodes):
            speed = min(p.nic_bandwidth, d.nic_bandwidth)
            pairs.append((p, d, p.performance.kv_bytes_per_token / speed))
    return pairs + [(m, m, 0.0) for m in _distinct(view.mixed)]


def _distinct(instances: tuple[InstanceView, ...]) -> list[SimulatedInstance]:
    seen: list[SimulatedInstance] = []
    for instance in instances:
        nameless = instance.spec.model_copy(update={"name": "any"})
        if nameless not in seen:
            seen.append(nameless)
    return seen
