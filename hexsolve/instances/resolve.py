"""From an instance file to a `PlanningProblem`: names looked up, engines enumerated."""

from difflib import get_close_matches
from importlib import resources
from math import isfinite
from pathlib import Path

from pydantic import ValidationError

from hexsolve.instances.catalog import Catalog, load_catalog
from hexsolve.instances.files import read_data
from hexsolve.instances.performance import engine_performance
from hexsolve.instances.schema import Engines, Instance, WorkflowUse
from hexsolve.instances.validation import input_error, validated
from hexsolve.instances.workflow_catalog import load_workflow_classes
from hexsolve.models.errors import InputError, allowed
from hexsolve.models.hardware import GPU, Cluster
from hexsolve.models.latency import EnginePerformance
from hexsolve.models.llm import LLM
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.standalone import buildable, call_seconds, horizon_seconds
from hexsolve.models.workload import WorkflowClass, Workload

DEFAULT_NAME = "default.yaml"

LONGEST_S, SHORTEST_S = 1e10, 1e-7
"""Standalone horizons beyond these come from a wrong unit or coefficient, s."""

RAREST_PER_S, OFTENEST_PER_S = 1e-8, 1e9
"""Calls/s of a class, from one in three years on; a solver's tolerances swallow rarer ones."""


def load_instance(path: Path | None) -> Instance:
    """Read and validate an instance file; None = the embedded default instance.

    Raises
    ------
    InputError
        Naming file, field, value and what is allowed.
    """
    if path is None:
        folder = resources.files("hexsolve.instances.catalog")
        with resources.as_file(folder.joinpath(DEFAULT_NAME)) as embedded:
            return validated(Instance, read_data(embedded), "default instance")
    return validated(Instance, read_data(path), str(path))


def load_problem(path: Path | None) -> PlanningProblem:
    """Read, validate and resolve an instance file; None = the embedded default instance.

    Raises
    ------
    InputError
        As `load_instance`; also for unknown names, and for an LLM that fits on no GPU.
    """
    source = "default instance" if path is None else str(path)
    folder = Path() if path is None else path.parent
    return resolve(load_instance(path), source, folder)


def resolve(instance: Instance, source: str, folder: Path | None = None) -> PlanningProblem:
    """Look up every name of an instance and enumerate the engines that could be built.

    Parameters
    ----------
    instance : Instance
    source : str
        Name of the file, for error messages.
    folder : Path, optional
        Where relative paths in the instance start.

    Raises
    ------
    InputError
    """
    try:
        catalog = _catalog(instance, folder or Path())
        llm = _llm(instance, catalog)
        cluster = _cluster(instance, catalog)
        gpus = tuple(_gpu(catalog, pool.gpu, index) for index, pool in enumerate(cluster.pools))
        cluster = _canonical(cluster, gpus)
        problem = PlanningProblem(
            name=instance.name,
            llm=llm,
            cluster=cluster,
            gpus=gpus,
            workload=_workload(instance),
            engines=_engines(instance.engines, catalog, llm, cluster, gpus),
            roles=instance.engines.roles,
            slo_scale=instance.slo_scale,
            load=instance.load,
            budget_per_hour=instance.budget_per_hour,
            assumptions=instance.assumptions,
        )
        _check_reachable(problem)
        return problem
    except ValidationError as error:
        raise input_error(error, {}, source) from None
    except InputError as error:
        raise error if error.source else error.at(source) from None


def _catalog(instance: Instance, folder: Path) -> Catalog:
    """Return the catalog with the instance's own GPU types, LLMs and coefficients."""
    _once("gpus", [gpu.name for gpu in instance.gpus])
    _once("llms", [llm.name for llm in instance.llms])
    # An LLM or GPU type of the catalog's name replaces it, and so do its coefficients.
    catalog = load_catalog().extended(gpus=instance.gpus, llms=instance.llms)
    if instance.coefficients is None:
        return catalog
    file = folder / instance.coefficients
    try:
        return catalog.extended_from(file)
    except InputError as error:
        # The file has mistakes of its own, or the instance names a wrong one: say both.
        place = ": ".join(part for part in (str(file), error.field) if part)
        raise InputError(f"{place}: {error.message}", field="coefficients") from None


def _once(field: str, names: list[str]) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InputError(
                f"{name!r} is defined twice; allowed: each name once", field=f"{field}[{index}]"
            )


def _canonical(cluster: Cluster, gpus: tuple[GPU, ...]) -> Cluster:
    """Return the cluster with catalog names for aliases, after which no type may stand twice."""
    for index, gpu in enumerate(gpus):
        if gpu in gpus[:index]:
            raise InputError(
                f"{cluster.pools[index].gpu!r} is another name of {gpu.name!r}, which has a pool "
                "already; allowed: one pool per GPU type",
                field=f"cluster.pools[{index}].gpu",
            )
    pools = (
        pool.model_copy(update={"gpu": gpu.name})
        for pool, gpu in zip(cluster.pools, gpus, strict=True)
    )
    return cluster.model_copy(update={"pools": tuple(pools)})


def _llm(instance: Instance, catalog: Catalog) -> LLM:
    if isinstance(instance.llm, LLM):
        return instance.llm
    return catalog.llm(instance.llm, field="llm")


def _cluster(instance: Instance, catalog: Catalog) -> Cluster:
    if isinstance(instance.cluster, Cluster):
        return instance.cluster
    return catalog.cluster(instance.cluster, field="cluster")


def _gpu(catalog: Catalog, name: str, index: int) -> GPU:
    return catalog.gpu(name, field=f"cluster.pools[{index}].gpu")


def _workload(instance: Instance) -> Workload:
    known = load_workflow_classes()
    classes: list[WorkflowClass] = []
    for index, entry in enumerate(instance.workload.classes):
        if isinstance(entry, WorkflowClass):
            classes.append(entry)
            continue
        classes.append(_used(entry, known, f"workload.classes[{index}].use"))
    names = [workflow.name for workflow in classes]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InputError(
                f"workflow class {name!r} is there twice; give one of them a `name` of its own",
                field=f"workload.classes[{index}]",
            )
    return Workload(
        classes=tuple(classes),
        burstiness=instance.workload.burstiness,
        approximation=instance.workload.approximation,
    )


def _used(entry: WorkflowUse, known: dict[str, WorkflowClass], field: str) -> WorkflowClass:
    if entry.use not in known:
        near = get_close_matches(entry.use, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"unknown workflow class {entry.use!r}; allowed: {allowed(known)}{hint}", field=field
        )
    changes = entry.model_dump(exclude={"use"}, exclude_none=True)
    return WorkflowClass.model_validate({**known[entry.use].model_dump(), **changes})


def _engines(
    options: Engines,
    catalog: Catalog,
    llm: LLM,
    cluster: Cluster,
    gpus: tuple[GPU, ...],
) -> tuple[EnginePerformance, ...]:
    """Return the performance of every (GPU type, tp, pp) on which the LLM fits."""
    found = []
    for pool, gpu in zip(cluster.pools, gpus, strict=True):
        for tp in sorted(set(options.tensor_parallel)):
            if tp > pool.gpus_per_node:
                continue
            for pp in sorted(set(options.pipeline_parallel)):
                performance = engine_performance(catalog, llm, gpu, tp, pp)
                if performance is not None:
                    found.append(performance)
    if not found:
        sizes = ", ".join(f"{gpu.name} ({gpu.memory_gib:g} GiB)" for gpu in gpus)
        raise InputError(
            f"{llm.name} needs {llm.weight_bytes / 2**30:,.0f} GiB for its weights and fits on "
            f"no engine of {sizes} with tensor_parallel {list(options.tensor_parallel)} and "
            f"pipeline_parallel {list(options.pipeline_parallel)}; allowed: a GPU or parallelism "
            "with more memory",
            field="llm",
        )
    return tuple(found)


def _check_reachable(problem: PlanningProblem) -> None:
    """Refuse clusters without room for any engine, and calls that no engine can hold."""
    engines = buildable(problem)
    if not engines:
        smallest = min(problem.engines, key=lambda engine: engine.gpus)
        raise InputError(
            f"have no room for a single engine of {problem.llm.name}; allowed: at least "
            f"{smallest.gpus} GPUs, as for one on {smallest.gpu} with tp={smallest.tp} "
            f"pp={smallest.pp}",
            field="cluster.pools",
        )
    largest = max(engine.kv_capacity_tokens for engine in engines)
    for index, workflow in enumerate(problem.workload.classes):
        for place, call in enumerate(workflow.calls):
            if not isfinite(call_seconds(problem, call)):
                tokens = call.prompt_tokens + call.output_tokens
                raise InputError(
                    f"call class {call.name!r} has {tokens:,.0f} tokens; allowed: at most "
                    f"{largest:,}, the largest KV pool of an engine of {problem.llm.name} here",
                    field=f"workload.classes[{index}].calls[{place}]",
                )
            rate = problem.load * workflow.rate_per_s * call.calls_per_workflow
            if not RAREST_PER_S <= rate <= OFTENEST_PER_S:
                raise InputError(
                    f"call class {call.name!r} has {rate:.3g} calls/s (load · rate_per_s · repeat "
                    f"· parallel); allowed: {RAREST_PER_S:g}…{OFTENEST_PER_S:g}",
                    field=f"workload.classes[{index}].calls[{place}]",
                )
        horizon = horizon_seconds(problem, workflow)
        if not SHORTEST_S <= horizon <= LONGEST_S:
            raise InputError(
                f"workflow class {workflow.name!r} alone on the cluster takes {horizon:.3g} s; "
                f"allowed: {SHORTEST_S:g}…{LONGEST_S:g} s; check its tokens, the GPU figures and "
                "the coefficients",
                field=f"workload.classes[{index}]",
            )
