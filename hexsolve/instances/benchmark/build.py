"""Make the benchmark's files: ``python -m hexsolve.instances.benchmark.build``.

Equal to the byte on every run. Engines of files that are there are kept as they are, so that a
new fit of the catalog changes no instance; ``--engines catalog`` takes the catalog's.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from hexsolve.instances.benchmark.io import (
    SUFFIX,
    data_folder,
    read_scheduling_instance,
    scheduling_instance_text,
)
from hexsolve.instances.benchmark.specs import (
    BANDS,
    CLUSTERS,
    LLMS,
    SPECS,
    TRANSFER_LATENCY_S,
    Spec,
)
from hexsolve.instances.catalog import load_catalog
from hexsolve.instances.generators.arrivals import poisson
from hexsolve.instances.generators.registry import SHAPES
from hexsolve.instances.performance import engine_performance
from hexsolve.models.latency import EnginePerformance
from hexsolve.models.scheduling import SchedulingInstance
from hexsolve.models.simulation.cluster import SimulatedCluster, SimulatedInstance
from hexsolve.models.workflow import Call, Workflow

Engines = Mapping[tuple[str, str, int], EnginePerformance]
"""(LLM, GPU type, tp) → engine."""

# Drawn at once, to choose those that fit the size band from.
_DRAWN = 4


def build_cluster(spec: Spec, engines: Engines) -> SimulatedCluster:
    """Return the cluster of a spec; engines that `engines` lacks come from the catalog."""
    catalog = load_catalog()
    llm, tp = LLMS[spec.llm]
    made: list[SimulatedInstance] = []
    for role, counts in CLUSTERS[spec.cluster].items():
        for gpu, count in counts.items():
            engine = engines.get((llm, gpu, tp)) or engine_performance(
                catalog, catalog.llms[llm], catalog.gpus[gpu], tp
            )
            made += [
                SimulatedInstance.model_validate(
                    {
                        "name": f"{role}-{gpu}-{number}",
                        "role": role,
                        "performance": engine,
                        "nic_bandwidth": catalog.gpus[gpu].nic_bandwidth * tp,
                        "max_batch": spec.slots,
                    }
                )
                for number in range(1, count + 1)
            ]
    return SimulatedCluster(instances=tuple(made), transfer_latency_s=TRANSFER_LATENCY_S)


def draw_workflows(spec: Spec) -> list[Workflow]:
    """Return the workflows of a spec, with arrivals; times are rounded to milliseconds.

    From four times as many as needed the first are taken that leave room for the rest: of
    `BANDS[band]` calls each workflow may take its share and what the ones before it left.
    """
    rng = np.random.default_rng([list(BANDS).index(spec.band), spec.number])
    drawn = SHAPES[spec.shape].generate(_DRAWN * spec.workflows, rng)
    taken: list[Workflow] = []
    calls = 0
    for workflow in drawn:
        cut = _cut(workflow, spec.most_calls)
        share = BANDS[spec.band] * (len(taken) + 1) // spec.workflows
        if calls + len(cut.calls) <= share:
            calls += len(cut.calls)
            taken.append(cut)
        if len(taken) == spec.workflows:
            break
    if len(taken) < spec.workflows:
        raise RuntimeError(f"{spec.name}: only {len(taken)} workflows of {BANDS[spec.band]} calls")
    times = poisson(spec.rate)(len(taken), rng)
    return [
        replace(
            workflow,
            name=f"w{number}",
            arrival_s=round(float(time), 3),
            calls=tuple(
                replace(call, tool_seconds=round(call.tool_seconds, 3)) for call in workflow.calls
            ),
            metadata={},
        )
        for number, (workflow, time) in enumerate(zip(taken, times, strict=True))
    ]


def _cut(workflow: Workflow, most_calls: int) -> Workflow:
    calls: tuple[Call, ...] = workflow.calls[:most_calls] if most_calls else workflow.calls
    return replace(workflow, calls=calls)


def build_instance(spec: Spec, engines: Engines) -> SchedulingInstance:
    """Return the instance of a spec; raises `pydantic.ValidationError` if it is not sound."""
    workflows = draw_workflows(spec)
    calls = sum(len(workflow.calls) for workflow in workflows)
    llm = LLMS[spec.llm][0]
    cut = f", each cut after {spec.most_calls} calls" if spec.most_calls else ""
    return SchedulingInstance(
        name=spec.name,
        description=f"{len(workflows)} {spec.shape} workflows, {calls} calls{cut}; Poisson, "
        f"{spec.rate:g} workflows/s; {llm} on {spec.cluster}, batches of at most {spec.slots}",
        shape=spec.shape,
        load=spec.load,
        llm=llm,
        cluster=build_cluster(spec, engines),
        workflows=tuple(workflows),
    )


def stored_engines(path: Path) -> dict[tuple[str, str, int], EnginePerformance]:
    """Return the engines of a file, none if it is not there."""
    if not path.exists():
        return {}
    return {
        (each.performance.llm, each.performance.gpu, each.performance.tp): each.performance
        for each in read_scheduling_instance(path).cluster.instances
    }


def main(arguments: list[str] | None = None) -> None:
    """Write all files that are not as they should be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engines", choices=("stored", "catalog"), default="stored")
    parser.add_argument("--folder", type=Path, default=data_folder())
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    for spec in SPECS:
        path = given.folder / (spec.name + SUFFIX)
        engines = stored_engines(path) if given.engines == "stored" else {}
        path.write_text(scheduling_instance_text(build_instance(spec, engines)), encoding="utf-8")
    for path in sorted(given.folder.glob(f"*{SUFFIX}")):
        if path.stem not in {spec.name for spec in SPECS}:
            path.unlink()


if __name__ == "__main__":
    main()
