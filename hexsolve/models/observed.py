"""A simulated run, measured in the terms of a plan's promise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from hexsolve.models.plan import Plan
from hexsolve.models.promised import CallPhases, GroupUse
from hexsolve.models.simulation.record import RunRecord
from hexsolve.models.workflow import Workflow

Floats = npt.NDArray[np.float64]
BATCHES = 10
"""Batch means: as many as still leave each batch longer than the workflows overlap."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % confidence interval."""

    mean: float
    low: float
    high: float


class ObservedRun:
    """A run away from its filling and its draining.

    What counts are the workflows that arrived between 20 % and 80 % of the arrivals' span, their
    calls, and the time between: before, the cluster fills; after, the last ones run on an
    emptier cluster.

    Parameters
    ----------
    record : RunRecord
        Of a complete run.
    workflows : sequence of Workflow
        In the order of the run (`Simulation.workflows`).
    """

    def __init__(self, record: RunRecord, workflows: Sequence[Workflow]) -> None:
        arrival = np.asarray(record.arrival)
        first, last = float(arrival[0]), float(arrival[-1])
        self.window = (first + 0.2 * (last - first), first + 0.8 * (last - first))
        counted = (arrival >= self.window[0]) & (arrival <= self.window[1])
        self.counted = counted if counted.any() else np.ones_like(counted)
        self._record = record
        self._times = {name: np.asarray(column) for name, column in record.times.items()}
        self._counts = {name: np.asarray(column) for name, column in record.counts.items()}
        self._classes = np.array([workflow.workflow_class for workflow in workflows])
        self._names = np.array([call.name for each in workflows for call in each.calls])
        self.flow_s: Floats = np.asarray(record.finish) - arrival

    def workflows(self, name: str) -> npt.NDArray[np.bool_]:
        """Return which workflows of a class count."""
        mine: npt.NDArray[np.bool_] = self.counted & (self._classes == name)
        return mine

    def latency(self, name: str) -> Estimate:
        """Return the mean flow time of a workflow class, s.

        Neighbours in time share queues, so the interval is over `BATCHES` batch means (Law,
        Simulation Modeling and Analysis, 2015, ch. 9.5.3); with few workflows it is their range.
        """
        values = self.flow_s[self.workflows(name)]
        return batch_means(values)

    def calls(self, workflow: str, call: str | None = None) -> CallPhases | None:
        """Return the mean times of the calls of a class, workflow or call; None = there are none.

        After a preemption the start of prefill is that of the rebuild, so that such calls are
        left out of wait and transfer.
        """
        times = self._times
        row = self.workflows(workflow)[self._counts["workflow"]] & (times["first_token"] >= 0)
        if call is not None:
            row &= self._names == call
        if not row.any():
            return None
        smooth = row & (self._counts["preemptions"] == 0)
        decodes = row & (self._counts["output_tokens"] >= 2)
        sent = smooth & decodes & (times["landed"] >= 0)
        steps = np.maximum(self._counts["output_tokens"] - 1, 1)
        transfer = times["landed"] - times["prefill_end"]
        after_first = times["finished"] - times["first_token"]
        return CallPhases(
            wait=_mean((times["prefill_start"] - times["revealed"])[smooth]),
            ttft=_mean((times["first_token"] - times["revealed"])[row]),
            transfer=_mean(transfer[sent]),
            tpot=_mean((after_first / steps)[decodes]),
            step=_mean(((times["finished"] - times["landed"]) / steps)[sent]),
            latency=_mean((times["finished"] - times["revealed"])[row]),
        )

    def groups(self, plan: Plan) -> list[GroupUse]:
        """Return the use of each group of the plan that the cluster was deployed from."""
        uses = []
        first = 0
        for group in plan.groups:
            numbers = range(first, first + group.count)
            first += group.count
            prefills = group.role == "prefill"
            each = [self._prefill_use(n) if prefills else self._decode_use(n) for n in numbers]
            uses.append(
                GroupUse(
                    busy=_mean([use.busy or 0.0 for use in each]),
                    batch=None if prefills else _mean([use.batch or 0.0 for use in each]),
                    kv=_mean([use.kv for use in each]),
                )
            )
        return uses

    def _prefill_use(self, number: int) -> GroupUse:
        times = self._times
        mine = self._counts["prefill"] == number
        start, end = times["prefill_start"][mine], times["prefill_end"][mine]
        landed = np.maximum(times["landed"][mine], end)
        prompt = self._counts["prompt_tokens"][mine]
        capacity = self._record.instances[number].kv_capacity_tokens
        return GroupUse(
            busy=self._covered(start, end),
            batch=None,
            kv=self._time_average(start, landed, prompt) / capacity,
        )

    def _decode_use(self, number: int) -> GroupUse:
        times = self._times
        mine = (self._counts["decode"] == number) & (times["landed"] >= 0)
        landed, end = times["landed"][mine], times["finished"][mine]
        mixed = self._record.instances[number].role == "mixed"
        start = times["prefill_start"][mine] if mixed else landed
        context = self._counts["prompt_tokens"][mine] + self._counts["output_tokens"][mine] / 2.0
        capacity = self._record.instances[number].kv_capacity_tokens
        return GroupUse(
            busy=self._covered(start, end),
            batch=self._time_average(landed, end, np.ones(len(end))),
            kv=self._time_average(start, end, context) / capacity,
        )

    def _time_average(self, start: Floats, end: Floats, weight: npt.ArrayLike) -> float:
        """Return the time average over the window of the weights of the intervals under way."""
        low, high = self.window
        inside = np.clip(end, low, high) - np.clip(start, low, high)
        return float((inside * np.asarray(weight)).sum() / max(high - low, 1e-12))

    def _covered(self, start: Floats, end: Floats) -> float:
        """Return the share of the window that the union of intervals covers."""
        low, high = self.window
        order = np.argsort(start, kind="stable")
        begin, until = np.clip(start[order], low, high), np.clip(end[order], low, high)
        if not len(begin):
            return 0.0
        # What each interval adds beyond all that began before it.
        reached = np.concatenate(([low], np.maximum.accumulate(until)[:-1]))
        covered = np.maximum(until - np.maximum(begin, reached), 0.0).sum()
        return float(covered / max(high - low, 1e-12))


def batch_means(values: Floats, batches: int = BATCHES) -> Estimate:
    """Return the mean of a series in order of time and its 95 % interval from batch means."""
    if not len(values):
        return Estimate(0.0, 0.0, 0.0)
    mean = float(values.mean())
    if len(values) < 2 * batches:
        return Estimate(mean, float(values.min()), float(values.max()))
    means = [float(part.mean()) for part in np.array_split(values, batches)]
    half = float(student.ppf(0.975, batches - 1) * np.std(means, ddof=1) / np.sqrt(batches))
    return Estimate(mean, mean - half, mean + half)


def _mean(values: npt.ArrayLike) -> float:
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()) if array.size else 0.0
