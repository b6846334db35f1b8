"""A rough rate that a cluster can serve, to choose a default where the user gives none."""

from hexsolve.models.latency import EnginePerformance
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.workload import CallClass

SHARE = 1.0 / 3.0
"""Part of the estimated capacity that a default rate asks for."""


def default_rate(problem: PlanningProblem) -> float:
    """Return a rate of workflows/s that takes about a third of the cluster, one digit long.

    Workflow classes keep their shares. The estimate takes every instance as mixed, on each GPU
    type at its best parallelism: an instance spends prefill seconds and its part of full decode
    batches on a call, and tokens of its KV pool for as long as the call and its prefix stay. It
    knows no queueing, hence the margin; `hexsolve plan --objective load` gives the true figure.
    """
    total = sum(workflow.rate_per_s for workflow in problem.workload.classes)
    rate = SHARE * total * _capacity(problem)
    return float(f"{rate:.1g}")


def _capacity(problem: PlanningProblem) -> float:
    """Return the load factor that the whole cluster carries."""
    capacity = 0.0
    for pool in problem.cluster.pools:
        best = 0.0
        for engine in problem.engines:
            if engine.gpu == pool.gpu:
                instances = pool.nodes * (pool.gpus_per_node // engine.tp) // engine.pp
                best = max(best, instances / _use(problem, engine))
        capacity += best
    return capacity


def _use(problem: PlanningProblem, engine: EnginePerformance) -> float:
    """Return how many instances of `engine` the workload at load 1 keeps busy."""
    busy = filled = 0.0
    for workflow in problem.workload.classes:
        for call in workflow.calls:
            rate = workflow.rate_per_s * call.calls_per_workflow
            seconds, tokens = _call_use(problem, engine, call)
            busy += rate * seconds
            filled += rate * tokens
    return max(busy, filled)


def _call_use(
    problem: PlanningProblem, engine: EnginePerformance, call: CallClass
) -> tuple[float, float]:
    """Return the seconds of an instance that one call takes, and pool shares times seconds."""
    given = problem.assumptions
    pool = given.kv_fill_max * engine.kv_capacity_tokens
    context = call.prompt_tokens + call.output_tokens / 2.0
    batch = min(max(pool / context, 1.0), float(given.max_batch))
    step = engine.decode.step_seconds(batch, batch * context)
    prefill = engine.prefill.call_seconds(call.new_tokens, call.cached_tokens)
    residence = prefill + call.output_tokens * step
    idle = call.tool_seconds * call.cached_tokens
    return (
        prefill / engine.pp + call.output_tokens * step / batch,
        (residence * context + idle) / pool,
    )
