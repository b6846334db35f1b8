"""Listeners that keep what happened: an event log, and a trace for an existing viewer."""

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import IO, Any

from hexsolve.models.simulation.calls import RevealedCall, RevealedWorkflow
from hexsolve.models.simulation.clock import TICKS_PER_SECOND, to_seconds
from hexsolve.models.simulation.cluster import SimulatedCluster

TICKS_PER_US = TICKS_PER_SECOND // 1_000_000


class EventLog:
    """Writes each event as one JSON line, in order.

    Keys: ``t`` (s), ``event``, ``workflow`` (number); for calls also ``call`` (index in the
    workflow), ``instance`` (name), ``tokens`` (length of the path) and ``emitted``.
    """

    def __init__(self, stream: IO[Any], cluster: SimulatedCluster) -> None:
        self._stream = stream
        self._names = [spec.name for spec in cluster.instances]

    def call(self, event: str, now: int, call: RevealedCall, instance: int) -> None:
        """Write an event of a call."""
        self._write(
            {
                "t": to_seconds(now),
                "event": event,
                "workflow": call.workflow.number,
                "call": call.index,
                "instance": self._names[instance],
                "tokens": call.length,
                "emitted": call.emitted,
            }
        )

    def workflow(self, event: str, now: int, workflow: RevealedWorkflow) -> None:
        """Write an event of a workflow."""
        self._write(
            {"t": to_seconds(now), "event": f"workflow-{event}", "workflow": workflow.number}
            | ({"name": workflow.name} if event == "arrive" else {})
        )

    def _write(self, row: dict[str, Any]) -> None:
        self._stream.write(json.dumps(row) + "\n")


# Which event begins and which ends a slice of a call.
_BEGIN = {"prefill": "prefill", "transfer": "transfer", "decode": "decode"}
_END = {
    "prefilled": ("prefill",),
    "landed": ("transfer",),
    "done": ("decode", "mixed"),
    "preempt": ("decode", "prefill", "mixed"),
    "lost": ("prefill", "transfer", "decode", "mixed"),
}


@dataclass(slots=True)
class _Slice:
    phase: str
    instance: int
    lane: int
    start: int


class ChromeTrace:
    """Collects slices and arrows in the Trace Event Format, for Perfetto or chrome://tracing.

    One process per instance, with as many lanes (threads) as calls overlap there. Each call's
    prefill, transfer (on the receiving side) and decode, or its stay on a mixed instance, is a
    slice of a lane. Flow events lead through the slices of a call (category ``call``, id: its
    number) and from the last slice of a parent to the first of its child (category ``parent``).
    Viewers bind a flow to the slice of its thread at that time, so slices that take no time
    have none. Times in whole µs, lest rounding make slices of a lane overlap.
    Format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
    """

    def __init__(self, cluster: SimulatedCluster) -> None:
        # Viewers take process and thread 0 for the idle task of a machine: count from 1.
        self.events: list[dict[str, Any]] = []
        for number, spec in enumerate(cluster.instances, start=1):
            name = f"{spec.name} ({spec.role}, {spec.performance.gpu})"
            self._describe("process_name", number, 0, {"name": name})
            self._describe("process_sort_index", number, 0, {"sort_index": number})
        self._mixed = [spec.role == "mixed" for spec in cluster.instances]
        self._open: dict[int, _Slice] = {}
        self._free: list[list[int]] = [[] for _ in cluster.instances]
        # (µs, instance, lane) where a slice without duration ended; free from the next µs on.
        self._resting: deque[tuple[int, int, int]] = deque()
        self._lanes = [0] * len(cluster.instances)
        # Slices of calls under way, and the last one of each complete call of open workflows.
        self._slices: dict[int, list[_Slice]] = {}
        self._last: dict[int, dict[int, _Slice]] = {}
        self._arrows = 0

    def call(self, event: str, now: int, call: RevealedCall, instance: int) -> None:
        """Open or close a slice."""
        if event in _END:
            self._close(_END[event], now, call)
        phase = _BEGIN.get(event)
        if event == "queue" and self._mixed[instance]:
            phase = "mixed"
        if phase is not None:
            self._close(("mixed",), now, call)
            start = now // TICKS_PER_US
            lane = self._take_lane(instance, start)
            self._open[call.number] = _Slice(phase, instance, lane, start)
        if event == "done":
            self._link(call)

    def workflow(self, event: str, now: int, workflow: RevealedWorkflow) -> None:
        """Mark arrivals and ends."""
        if event == "done":
            self._last.pop(workflow.number, None)
        self.events.append(
            {
                "ph": "i",
                "s": "g",
                "name": f"{workflow.name} {event}",
                "ts": now // TICKS_PER_US,
                "pid": 1,
                "tid": 1,
            }
        )

    def _describe(self, what: str, process: int, thread: int, args: dict[str, Any]) -> None:
        """Enter metadata of a process (`thread` 0) or of a thread."""
        event = {"ph": "M", "name": what, "pid": process, "args": args}
        self.events.append(event | ({"tid": thread} if thread else {}))

    def _take_lane(self, instance: int, start: int) -> int:
        resting = self._resting
        while resting and resting[0][0] < start:
            _, other, lane = resting.popleft()
            heappush(self._free[other], lane)
        free = self._free[instance]
        if free:
            return heappop(free)
        self._lanes[instance] = lane = self._lanes[instance] + 1
        self._describe("thread_name", instance + 1, lane, {"name": f"lane {lane}"})
        return lane

    def _close(self, phases: Sequence[str], now: int, call: RevealedCall) -> None:
        piece = self._open.get(call.number)
        if piece is None or piece.phase not in phases:
            return
        del self._open[call.number]
        name = f"{piece.phase} {call.workflow.name}[{call.index}] {call.name}"
        duration = now // TICKS_PER_US - piece.start
        event = self._event("X", piece, piece.phase, name)
        self.events.append(event | {"dur": duration, "args": {"call": call.number}})
        if not duration:
            # Viewers would put it inside a slice that begins at the same µs.
            self._resting.append((piece.start, piece.instance, piece.lane))
        else:
            heappush(self._free[piece.instance], piece.lane)
            self._slices.setdefault(call.number, []).append(piece)

    def _link(self, call: RevealedCall) -> None:
        """Draw the arrows to and through a call that is complete."""
        pieces = self._slices.pop(call.number, [])
        if not pieces:
            return
        if len(pieces) > 1:
            self._flow("call", call.number, pieces)
        last = self._last.setdefault(call.workflow.number, {})
        for parent in dict.fromkeys(call.parents):
            if parent in last:
                self._flow("parent", self._arrows, [last[parent], pieces[0]])
                self._arrows += 1
        last[call.index] = pieces[-1]

    def _flow(self, category: str, number: int, pieces: Sequence[_Slice]) -> None:
        for position, piece in enumerate(pieces):
            kind = "s" if position == 0 else "f" if position == len(pieces) - 1 else "t"
            event = self._event(kind, piece, category, category) | {"id": number}
            # Without it an end binds to the slice that begins next.
            self.events.append(event | {"bp": "e"} if kind == "f" else event)

    @staticmethod
    def _event(kind: str, piece: _Slice, category: str, name: str) -> dict[str, Any]:
        return {
            "ph": kind,
            "cat": category,
            "name": name,
            "ts": piece.start,
            "pid": piece.instance + 1,
            "tid": piece.lane,
        }

    def write(self, stream: IO[str]) -> None:
        """Write everything as one JSON object."""
        json.dump({"traceEvents": self.events, "displayTimeUnit": "ms"}, stream)


class Listeners:
    """Tells several listeners."""

    def __init__(self, listeners: Sequence["EventLog | ChromeTrace"]) -> None:
        self._listeners = listeners

    def call(self, event: str, now: int, call: RevealedCall, instance: int) -> None:
        """Pass an event of a call on."""
        for listener in self._listeners:
            listener.call(event, now, call, instance)

    def workflow(self, event: str, now: int, workflow: RevealedWorkflow) -> None:
        """Pass an event of a workflow on."""
        for listener in self._listeners:
            listener.workflow(event, now, workflow)
