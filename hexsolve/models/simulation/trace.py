"""Listeners that keep what happened: an event log, and a trace for an existing viewer."""

import json
from collections.abc import Sequence
from typing import IO, Any

from hexsolve.models.simulation.calls import RevealedCall, RevealedWorkflow
from hexsolve.models.simulation.clock import to_seconds
from hexsolve.models.simulation.cluster import SimulatedCluster


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


# Which event begins and which ends a slice on an instance's track.
_BEGIN = {"prefill": "prefill", "transfer": "transfer", "decode": "decode"}
_END = {
    "prefilled": ("prefill",),
    "landed": ("transfer",),
    "done": ("decode",),
    "preempt": ("decode", "prefill"),
    "lost": ("prefill", "transfer", "decode"),
}


class ChromeTrace:
    """Collects slices in the Trace Event Format, for Perfetto or chrome://tracing.

    One process per instance; each call's prefill, transfer (on the receiving side) and decode is
    an async slice there, named by workflow and call. Times in µs.
    Format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
    """

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.events: list[dict[str, Any]] = [
            {
                "ph": "M",
                "name": "process_name",
                "pid": number,
                "args": {"name": f"{spec.name} ({spec.role}, {spec.performance.gpu})"},
            }
            for number, spec in enumerate(cluster.instances)
        ]
        self._mixed = [spec.role == "mixed" for spec in cluster.instances]
        self._open: dict[int, tuple[str, int]] = {}

    def call(self, event: str, now: int, call: RevealedCall, instance: int) -> None:
        """Open or close a slice."""
        if event in _END:
            self._close(_END[event], now, call)
        phase = _BEGIN.get(event)
        if event == "queue" and self._mixed[instance]:
            phase = "mixed"
        if phase is not None:
            self._close(("mixed",), now, call)
            self._open[call.number] = (phase, instance)
            self._add("b", phase, now, call, instance)
        elif event in ("done", "preempt", "lost"):
            self._close(("mixed",), now, call)

    def workflow(self, event: str, now: int, workflow: RevealedWorkflow) -> None:
        """Mark arrivals and ends."""
        self.events.append(
            {
                "ph": "i",
                "s": "g",
                "name": f"{workflow.name} {event}",
                "ts": now / 1e9,
                "pid": 0,
                "tid": 0,
            }
        )

    def _close(self, phases: Sequence[str], now: int, call: RevealedCall) -> None:
        phase, instance = self._open.get(call.number, ("", -1))
        if phase in phases:
            del self._open[call.number]
            self._add("e", phase, now, call, instance)

    def _add(self, kind: str, phase: str, now: int, call: RevealedCall, instance: int) -> None:
        self.events.append(
            {
                "ph": kind,
                "cat": phase,
                "id": call.number,
                "name": f"{phase} {call.workflow.name}[{call.index}] {call.name}",
                "ts": now / 1e9,
                "pid": instance,
                "tid": 0,
            }
        )

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
