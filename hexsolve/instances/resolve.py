"""From an instance file to a `PlanningProblem`: names looked up, engines enumerated."""

from importlib import resources
from pathlib import Path

from hexsolve.instances.catalog import Catalog, load_catalog
from hexsolve.instances.files import read_data
from hexsolve.instances.performance import engine_performance
from hexsolve.instances.schema import Engines, Instance, WorkflowUse
from hexsolve.instances.validation import validated
from hexsolve.instances.workflow_catalog import load_workflow_classes
from hexsolve.models.errors import InputError, allowed
from hexsolve.models.hardware import GPU, Cluster
from hexsolve.models.latency import EnginePerformance
from hexsolve.models.llm import LLM
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.workload import WorkflowClass, Workload

DEFAULT_NAME = "default.yaml"


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
        catalog = load_catalog().extended(gpus=instance.gpus, llms=instance.llms)
        if instance.coefficients is not None:
            file = (folder or Path()) / instance.coefficients
            catalog = catalog.extended_from(file)
        llm = _llm(instance, catalog)
        cluster = _cluster(instance, catalog)
        gpus = tuple(_gpu(catalog, pool.gpu, index) for index, pool in enumerate(cluster.pools))
        # Pools may use aliases; from here on only catalog names.
        cluster = cluster.model_copy(
            update={
                "pools": tuple(
                    pool.model_copy(update={"gpu": gpu.name})
                    for pool, gpu in zip(cluster.pools, gpus, strict=True)
                )
            }
        )
        engines = _engines(instance.engines, catalog, llm, cluster, gpus)
        workload = _workload(instance)
        _reachable(workload, engines, llm)
        return PlanningProblem(
            name=instance.name,
            llm=llm,
            cluster=cluster,
            gpus=gpus,
            workload=workload,
            engines=engines,
            roles=instance.engines.roles,
            slo_scale=instance.slo_scale,
            load=instance.load,
            budget_per_hour=instance.budget_per_hour,
            assumptions=instance.assumptions,
        )
    except InputError as error:
        raise error if error.source else error.at(source) from None


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
        raise InputError(f"is {entry.use!r}; allowed: {allowed(known)}", field=field)
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


def _reachable(workload: Workload, engines: tuple[EnginePerformance, ...], llm: LLM) -> None:
    """Refuse calls that no engine or not even the LLM can hold."""
    largest = max(engine.kv_capacity_tokens for engine in engines)
    for index, workflow in enumerate(workload.classes):
        for place, call in enumerate(workflow.calls):
            tokens = call.prompt_tokens + call.output_tokens
            if tokens > largest:
                raise InputError(
                    f"call class {call.name!r} has {tokens:,.0f} tokens; allowed: at most "
                    f"{largest:,}, the largest KV pool of an engine of {llm.name} here",
                    field=f"workload.classes[{index}].calls[{place}]",
                )
