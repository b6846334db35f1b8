"""What a run leaves behind: a row per call and workflow, totals per instance, optional events."""

from array import array
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

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
ROW: Final = Struct(f"={len(CALL_TIMES)}d{len(CALL_COUNTS)}q")
ROW_BYTES: Final = 8 * (len(CALL_TIMES) + len(CALL_COUNTS))
UNSET: Final = (-1.0,) * len(CALL_TIMES) + (0,) * len(CALL_COUNTS)

_Columns = tuple[int, "dict[str, array[float]]", "dict[str, array[int]]"]


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
        "_columns",
        "_rows",
        "arrival",
        "done",
        "end_s",
        "finish",
        "instances",
        "stale_assignments",
        "workflow_names",
    )

    def __init__(self, calls: int, workflows: int) -> None:
        # A row per call, so that a complete one touches two cache lines and not sixteen.
        self._rows = bytearray(ROW.pack(*UNSET)) * calls
        self._columns: _Columns | None = None
        self.arrival = array("d", [-1.0]) * workflows
        self.finish = array("d", [-1.0]) * workflows
        self.workflow_names: list[str] = []
        self.instances: tuple[InstanceTotals, ...] = ()
        self.done = 0
        self.end_s = 0.0
        self.stale_assignments = 0

    @property
    def times(self) -> "dict[str, array[float]]":
        """Columns of `CALL_TIMES`."""
        return self._tables()[1]

    @property
    def counts(self) -> "dict[str, array[int]]":
        """Columns of `CALL_COUNTS`."""
        return self._tables()[2]

    def _tables(self) -> "_Columns":
        """Return columns of the calls that are done by now."""
        columns = self._columns
        if columns is None or columns[0] != self.done:
            times = _read_columns(self._rows, "d", CALL_TIMES, 0)
            counts = _read_columns(self._rows, "q", CALL_COUNTS, len(CALL_TIMES))
            self._columns = columns = (self.done, times, counts)
        return columns

    def copy(self) -> "RunRecord":
        """Return an independent copy."""
        twin = shallow(self)
        twin._rows = self._rows.copy()
        twin.arrival, twin.finish = self.arrival[:], self.finish[:]
        return twin

    def workflow_arrived(self, number: int, now: int) -> None:
        """Enter the arrival of workflow `number`."""
        self.arrival[number] = now / SECOND

    def workflow_done(self, workflow: RevealedWorkflow) -> None:
        """Enter the completion of `workflow`."""
        self.finish[workflow.number] = workflow.finished / SECOND

    def call_done(self, call: RevealedCall) -> None:
        """Enter a complete call."""
        first, landed = call.first_token, call.landed
        ROW.pack_into(
            self._rows,
            ROW_BYTES * call.number,
            call.revealed / SECOND,
            call.prefill_start / SECOND,
            call.prefill_end / SECOND,
            first / SECOND if first >= 0 else -1.0,
            landed / SECOND if landed >= 0 else -1.0,
            call.finished / SECOND,
            call.workflow.number,
            call.prompt_tokens,
            call.emitted,
            call.predicted_output,
            call.cached,
            call.computed,
            call.transferred,
            call.preemptions,
            call.prefill,
            call.decode,
        )
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
                    received_bytes=simulation.links.received_bytes[instance.number],
                )
            )
        self.instances = tuple(totals)


def _read_columns(
    rows: bytearray, code: Literal["d", "q"], names: tuple[str, ...], first: int
) -> "dict[str, array[Any]]":
    """Return columns of one type, which begin with column `first` of the rows."""
    table = memoryview(rows).cast(code)
    columns = {}
    for number, name in enumerate(names, first):
        columns[name] = column = array(code)
        column.frombytes(table[number :: ROW_BYTES // 8].tobytes())
    return columns
