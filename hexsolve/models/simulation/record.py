"""What a run leaves behind: a row per call and workflow, totals per instance, optional events."""

from array import array
from typing import TYPE_CHECKING, Protocol

from mypy_extensions import mypyc_attr

from hexsolve.models.simulation.calls import RevealedCall, RevealedWorkflow
from hexsolve.models.simulation.clock import SECOND, to_seconds
from hexsolve.models.simulation.copies import shallow
from hexsolve.models.simulation.totals import InstanceTotals

if TYPE_CHECKING:
    from hexsolve.models.simulation.engine import Simulation


class Listener(Protocol):
    """Is told every event as it happens; times in ticks."""

    def call(self, event: str, now: int, call: RevealedCall, instance: int) -> None:
        """`event`: queue, prefill, prefilled, transfer, landed, decode, preempt, lost, done."""

    def workflow(self, event: str, now: int, workflow: RevealedWorkflow) -> None:
        """`event`: arrive, done."""


CALL_TIMES = ("revealed", "prefill_start", "prefill_end", "first_token", "landed", "finished")
CALL_COUNTS = (
    "workflow",
    "prompt_tokens",
    "output_tokens",
    "predicted_output",
    "cached",
    "computed",
    "transferred",
    "preemptions",
    "prefill",
    "decode",
)


@mypyc_attr(allow_interpreted_subclasses=True)
class RunRecord:
    """Columns over calls and workflows by number; times in seconds, −1 where there is none.

    Attributes
    ----------
    times : dict of str to array of float
        `CALL_TIMES`: reveal; start and end of the (last) prefill; first token; KV at the decode
        instance; end.
    counts : dict of str to array of int
        `CALL_COUNTS`: workflow number; tokens of prompt and output; prediction; prompt tokens
        found in and missing from the prefill instance's cache (rebuilds included); tokens
        transferred; preemptions; instances.
    arrival, finish : array of float
        Per workflow.
    """

    __slots__ = (
        "_count_columns",
        "_time_columns",
        "arrival",
        "counts",
        "done",
        "end_s",
        "finish",
        "instances",
        "stale_assignments",
        "times",
        "workflow_names",
    )

    def __init__(self, calls: int, workflows: int) -> None:
        self.times = {name: array("d", [-1.0]) * calls for name in CALL_TIMES}
        self.counts = {name: array("q", [0]) * calls for name in CALL_COUNTS}
        self.arrival = array("d", [-1.0]) * workflows
        self.finish = array("d", [-1.0]) * workflows
        self.workflow_names: list[str] = []
        self.instances: tuple[InstanceTotals, ...] = ()
        self.done = 0
        self.end_s = 0.0
        self.stale_assignments = 0
        self._time_columns = tuple(self.times.values())
        self._count_columns = tuple(self.counts.values())

    def copy(self) -> "RunRecord":
        """Return an independent copy."""
        twin = shallow(self)
        twin.times = {name: column[:] for name, column in self.times.items()}
        twin.counts = {name: column[:] for name, column in self.counts.items()}
        twin.arrival, twin.finish = self.arrival[:], self.finish[:]
        twin._time_columns = tuple(twin.times.values())
        twin._count_columns = tuple(twin.counts.values())
        return twin

    def workflow_arrived(self, number: int, now: int) -> None:
        """Enter the arrival of workflow `number`."""
        self.arrival[number] = now / SECOND

    def workflow_done(self, workflow: RevealedWorkflow) -> None:
        """Enter the completion of `workflow`."""
        self.finish[workflow.number] = workflow.finished / SECOND

    def call_done(self, call: RevealedCall) -> None:
        """Enter a complete call."""
        row = call.number
        revealed, prefill_start, prefill_end, first_token, landed, finished = self._time_columns
        (
            workflow,
            prompt,
            output,
            predicted,
            cached,
            computed,
            transferred,
            preemptions,
            prefill,
            decode,
        ) = self._count_columns
        revealed[row] = call.revealed / SECOND
        prefill_start[row] = call.prefill_start / SECOND
        prefill_end[row] = call.prefill_end / SECOND
        if call.first_token >= 0:
            first_token[row] = call.first_token / SECOND
        if call.landed >= 0:
            landed[row] = call.landed / SECOND
        finished[row] = call.finished / SECOND
        workflow[row] = call.workflow.number
        prompt[row] = call.prompt_tokens
        output[row] = call.emitted
        predicted[row] = call.predicted_output
        cached[row] = call.cached
        computed[row] = call.computed
        transferred[row] = call.transferred
        preemptions[row] = call.preemptions
        prefill[row] = call.prefill
        decode[row] = call.decode
        self.done += 1

    def close(self, simulation: "Simulation") -> None:
        """Take the totals of the instances at the end of a run."""
        self.end_s = to_seconds(simulation.now)
        self.workflow_names = [workflow.name for workflow in simulation.workflows]
        totals = []
        for instance in simulation.instances:
            instance.pool.evict()
            steps = getattr(instance, "finished_steps", 0)
            busy = instance.busy
            kv = getattr(instance, "kv_ticks", 0)
            totals.append(
                InstanceTotals(
                    name=instance.spec.name,
                    role=instance.spec.role,
                    busy_s=to_seconds(busy),
                    steps=steps,
                    decoded_tokens=getattr(instance, "step_tokens", 0),
                    mean_kv_tokens=float(kv) / float(busy) if busy else 0.0,
                    kv_capacity_tokens=instance.pool.capacity,
                    evicted_tokens=instance.pool.evicted,
                    sent_bytes=simulation.links.sent_bytes[instance.number],
                )
            )
        self.instances = tuple(totals)
