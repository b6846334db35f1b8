"""A run in numbers: slowdowns, latencies, use of the cluster, cost."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hexsolve.models import slo
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.simulation.record import RunRecord

Floats = npt.NDArray[np.float64]
SCALES = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)


def flow_times(record: RunRecord) -> Floats:
    """Return F_w = completion − arrival of each workflow, s."""
    flow: Floats = np.asarray(record.finish) - np.asarray(record.arrival)
    return flow


def time_to_first_token(record: RunRecord) -> Floats:
    """Return reveal to first token of each call that generates any, s."""
    first = np.asarray(record.times["first_token"])
    waited: Floats = (first - np.asarray(record.times["revealed"]))[first >= 0]
    return waited


def time_per_output_token(record: RunRecord) -> Floats:
    """Return (end − first token)/(output − 1) of each call with two output tokens or more, s."""
    output = np.asarray(record.counts["output_tokens"])
    span = np.asarray(record.times["finished"]) - np.asarray(record.times["first_token"])
    several = output >= 2
    pace: Floats = span[several] / (output[several] - 1)
    return pace


def summarise(
    record: RunRecord,
    cluster: SimulatedCluster,
    horizons: Sequence[float] | None,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Return the measures of a run as nested plain data.

    Parameters
    ----------
    record : RunRecord
        Of a complete run.
    cluster : SimulatedCluster
    horizons : sequence of float or None
        H_w of each workflow, s; without them there are no slowdowns.
    rng : Generator
        For bootstrap intervals.
    """
    flow = flow_times(record)
    summary: dict[str, Any] = {
        "workflows": len(flow),
        "calls": record.done,
        "makespan_s": record.end_s,
        "flow_time_s": _spread(flow),
    }
    if horizons is not None:
        summary |= _slowdown_part(slo.slowdowns(flow, horizons), rng)
    summary |= _latency_part(record)
    summary |= _cluster_part(record, cluster)
    return summary


def _slowdown_part(values: Floats, rng: np.random.Generator) -> dict[str, Any]:
    part: dict[str, Any] = {"slowdown": _spread(values)}
    ordered = np.sort(values)
    required: dict[int, slo.Interval] = {}
    for percent in (95, 99, *range(1, 101)):
        if percent not in required:
            required[percent] = slo.required_scale_interval(ordered, percent, rng)
    for percent in (95, 99):
        interval = required[percent]
        part[f"req{percent}"] = interval.value
        part[f"req{percent}_ci95"] = [interval.low, interval.high]
    part["attainment"] = {f"{scale:g}": slo.attainment(values, scale) for scale in SCALES}
    part["attainment_curve"] = [
        {
            "share": percent / 100,
            "scale": required[percent].value,
            "ci95": [required[percent].low, required[percent].high],
        }
        for percent in range(1, 101)
    ]
    return part


def _latency_part(record: RunRecord) -> dict[str, Any]:
    times = {name: np.asarray(column) for name, column in record.times.items()}
    counts = {name: np.asarray(column) for name, column in record.counts.items()}
    landed = times["landed"] >= 0
    cached, computed = int(counts["cached"].sum()), int(counts["computed"].sum())
    return {
        "ttft": _spread(time_to_first_token(record)),
        "tpot": _spread(time_per_output_token(record)),
        "breakdown_s": {
            # After a preemption `prefill_start` is that of the rebuild.
            "queue": _mean(times["prefill_start"] - times["revealed"]),
            "prefill": _mean(times["prefill_end"] - times["prefill_start"]),
            "transfer": _mean((times["landed"] - times["prefill_end"])[landed]),
            "decode": _mean((times["finished"] - times["landed"])[landed]),
        },
        "cache_hit_rate": cached / max(1, cached + computed),
        "transferred_tokens": int(counts["transferred"].sum()),
        "preemptions": int(counts["preemptions"].sum()),
    }


def _cluster_part(record: RunRecord, cluster: SimulatedCluster) -> dict[str, Any]:
    span = max(record.end_s - min(record.arrival, default=0.0), 1e-12)
    instances = [
        {
            "name": totals.name,
            "role": totals.role,
            "busy": totals.busy_s / span,
            "mean_batch": totals.decoded_tokens / max(1, totals.steps),
            "kv_occupancy": totals.mean_kv_tokens / totals.kv_capacity_tokens,
            "evicted_tokens": totals.evicted_tokens,
            "sent_bytes": totals.sent_bytes,
            "received_bytes": totals.received_bytes,
            # Prefill instances only send and decode instances only receive: one of the two is 0.
            "link": (totals.sent_bytes + totals.received_bytes) / (spec.nic_bandwidth * span),
        }
        for spec, totals in zip(cluster.instances, record.instances, strict=True)
    ]
    roles = sorted({totals.role for totals in record.instances})
    hours = span / 3600.0
    # Boards draw their full power while busy; idle power is not in the catalog.
    joules = sum(
        spec.watts * totals.busy_s
        for spec, totals in zip(cluster.instances, record.instances, strict=True)
    )
    workflows = len(record.finish)
    return {
        "utilisation": {
            role: _mean([i.busy_s / span for i in record.instances if i.role == role])
            for role in roles
        },
        "instances": instances,
        "cost_per_1000_workflows": cluster.price_per_hour * hours / workflows * 1000.0,
        "energy_kwh": joules / 3.6e6,
    }


def _mean(values: npt.ArrayLike) -> float:
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()) if array.size else 0.0


def _spread(values: Floats) -> dict[str, float]:
    """Return mean and order statistics; zeros if there is nothing."""
    if not values.size:
        return {"mean": 0.0, "p50": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0}
    quantiles = {f"p{p}": slo.required_scale(values, p) for p in (50, 95, 99)}
    return {"mean": float(values.mean()), **quantiles, "max": float(values.max())}
