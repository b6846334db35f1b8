"""One run of a study: an instance under a policy with a seed."""

import difflib
import json
import time
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hexsolve.instances.benchmark.io import load_scheduling_instance
from hexsolve.instances.catalog import load_catalog
from hexsolve.instances.generators.arrivals import compose_arrivals, gamma
from hexsolve.instances.generators.registry import SHAPES
from hexsolve.instances.importers.registry import read_trace
from hexsolve.instances.performance import engine_performance
from hexsolve.models import slo
from hexsolve.models.errors import HexsolveError, InputError, allowed
from hexsolve.models.simulation.checks import check_sizes
from hexsolve.models.simulation.cluster import SimulatedCluster, SimulatedInstance
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.models.simulation.measures import flow_times, summarise
from hexsolve.models.simulation.record import RunRecord
from hexsolve.models.workflow import Workflow
from hexsolve.solver.online.predictors import make_predictor
from hexsolve.solver.online.registry import PolicyOptions, make_policy
from hexsolve.solver.online.rolling.options import RollingOptions
from hexsolve.studies.schema import StoredInstance, Study, StudyInstance, kind

DEFAULT_COUNT = 100
TPS = (1, 2, 4, 8, 16)
"""What is tried to tell the user which parallelism would do."""


class Cell(NamedTuple):
    """Where a run stands in the study; sorts as the results do."""

    instance: str
    policy: str
    seed: int


class Outcome(NamedTuple):
    """What a run gave."""

    cell: Cell
    row: dict[str, str | int | float]
    """Columns of runs.csv besides the cell."""
    slowdowns: list[float]
    wall_s: float


MEASURES = (
    "status", "workflows", "calls", "req95", "req99", "mean_slowdown", "max_slowdown",
    "ttft_p50_s", "ttft_p95_s", "tpot_p50_s", "tpot_p95_s", "preemptions", "cache_hit_rate",
    "error",
)  # fmt: skip
BOUND_MEASURES = ("bound_req95", "bound_method", "gap_req95")
"""Columns that are filled in once the bounds are known; empty without ``bounds: true``."""


def cells(study: Study) -> list[Cell]:
    """Return all runs of a study, sorted."""
    return sorted(
        Cell(instance.name, policy, seed)
        for instance in study.instances
        for policy in study.policies
        for seed in study.seeds_of(instance)
    )


def build_cluster(instance: StudyInstance) -> SimulatedCluster:
    """Return the cluster of a study's instance.

    Raises
    ------
    InputError
        If the LLM or a GPU type is not in the catalog, or the one does not fit the other.
    """
    catalog = load_catalog()
    llm = catalog.llm(instance.llm, field="llm")
    made: list[SimulatedInstance] = []
    for role, counts in (
        ("prefill", instance.prefill),
        ("decode", instance.decode),
        ("mixed", instance.mixed),
    ):
        for name, count in counts.items():
            gpu = catalog.gpu(name, field=role)
            engine = engine_performance(catalog, llm, gpu, instance.tp)
            if engine is None:
                fits = [str(tp) for tp in TPS if engine_performance(catalog, llm, gpu, tp)]
                raise InputError(
                    f"{llm.name} does not fit {instance.tp} {gpu.name}, or its heads do not divide "
                    f"so; allowed: {', '.join(fits) or f'none, no {gpu.name} instance holds it'}",
                    field="tp",
                )
            made += [
                SimulatedInstance.model_validate(
                    {
                        "name": f"{role}-{name}-tp{instance.tp}-{len(made) + number}",
                        "role": role,
                        "performance": engine,
                        "nic_bandwidth": gpu.nic_bandwidth * instance.tp,
                    }
                )
                for number in range(count)
            ]
    return SimulatedCluster(instances=tuple(made), transfer_latency_s=instance.transfer_latency_s)


def check_workload(workload: str) -> None:
    """Raise `InputError` unless a workload is a generator's name or an existing file."""
    if workload in SHAPES or Path(workload).is_file():
        return
    near = difflib.get_close_matches(workload, SHAPES, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(
        f"is {workload!r}{hint or ';'} allowed: an existing file, {allowed(SHAPES)}",
        field="workload",
    )


def draw_workload(instance: StudyInstance, seed: int) -> list[Workflow]:
    """Return the workflows of a seed, with arrivals.

    Raises
    ------
    InputError
        If the workload is neither a generator nor a readable file.
    """
    rng = np.random.default_rng(seed)
    check_workload(instance.workload)
    if instance.workload in SHAPES:
        shape = SHAPES[instance.workload]
        workflows = list(shape.generate(instance.count or DEFAULT_COUNT, rng))
    else:
        workflows = list(read_trace(Path(instance.workload)).workflows[: instance.count])
    return compose_arrivals(workflows, gamma(instance.rate, instance.cv), rng)


@lru_cache(maxsize=4)
def prepared(text: str, seed: int) -> tuple[SimulatedCluster, list[Workflow], list[float]]:
    """Return cluster, workflows and horizons, which all policies of a seed share.

    `text` is the instance as JSON: a key for the cache.
    """
    if kind(json.loads(text)) == "stored":
        stated = StoredInstance.model_validate_json(text)
        stored = load_scheduling_instance(stated.benchmark)
        if stored.digest != stated.digest:
            raise InputError("has changed since the study began", source=stated.benchmark)
        cluster, workflows = stored.cluster, list(stored.workflows)
    else:
        instance = StudyInstance.model_validate_json(text)
        cluster = _cluster(text)
        workflows = sorted(draw_workload(instance, seed), key=lambda workflow: workflow.arrival_s)
    check_sizes(cluster, workflows)
    return cluster, workflows, standalone_horizons(cluster, workflows)


@lru_cache(maxsize=4)
def _cluster(text: str) -> SimulatedCluster:
    """Return the cluster of an instance (as JSON), which all seeds share: fitting takes 0.1 s."""
    return build_cluster(StudyInstance.model_validate_json(text))


def run_cell(study: Study, cell: Cell) -> Outcome:
    """Run one cell; a run that fails is an outcome, too."""
    started = time.perf_counter()
    instance = next(each for each in study.instances if each.name == cell.instance)
    try:
        row, slowdowns = _run(study, instance, cell)
    except HexsolveError as error:
        row, slowdowns = {"status": "error", "error": " ".join(str(error).split())}, []
    return Outcome(cell, row, slowdowns, time.perf_counter() - started)


def _run(
    study: Study, instance: StudyInstance | StoredInstance, cell: Cell
) -> tuple[dict[str, str | int | float], list[float]]:
    cluster, workflows, horizons = prepared(instance.model_dump_json(), cell.seed)
    return measured(simulate(study, cell, cluster, workflows), cluster, horizons)


def measured(
    record: RunRecord, cluster: SimulatedCluster, horizons: list[float]
) -> tuple[dict[str, str | int | float], list[float]]:
    """Return the measures of a run, and the slowdown of each of its workflows."""
    summary: dict[str, Any] = summarise(record, cluster, None, np.random.default_rng(0))
    slowdowns = slo.slowdowns(flow_times(record), horizons)
    row: dict[str, str | int | float] = {
        "status": "ok",
        "workflows": summary["workflows"],
        "calls": summary["calls"],
        "req95": slo.required_scale(slowdowns, 95),
        "req99": slo.required_scale(slowdowns, 99),
        "mean_slowdown": float(slowdowns.mean()),
        "max_slowdown": float(slowdowns.max()),
        "ttft_p50_s": summary["ttft"]["p50"],
        "ttft_p95_s": summary["ttft"]["p95"],
        "tpot_p50_s": summary["tpot"]["p50"],
        "tpot_p95_s": summary["tpot"]["p95"],
        "preemptions": summary["preemptions"],
        "cache_hit_rate": summary["cache_hit_rate"],
        "error": "",
    }
    return row, slowdowns.tolist()


def simulate(
    study: Study, cell: Cell, cluster: SimulatedCluster, workflows: list[Workflow]
) -> RunRecord:
    """Return the record of a run."""
    options = PolicyOptions(
        seed=cell.seed, rolling=RollingOptions(budget_ms=study.budget_ms, seed=cell.seed)
    )
    simulation = Simulation(
        cluster,
        workflows,
        make_policy(cell.policy, options),
        make_predictor(study.predictor, cell.seed),
    )
    return simulation.run()
