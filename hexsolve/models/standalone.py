"""The standalone horizon of a workflow class: its mean makespan alone on the empty cluster."""

from collections.abc import Mapping

from hexsolve.models.latency import EnginePerformance
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.workload import CallClass, WorkflowClass


def buildable(problem: PlanningProblem) -> list[EnginePerformance]:
    """Return the engines of which the inventory has room for at least one instance."""
    pools = {pool.gpu: pool for pool in problem.cluster.pools}
    return [
        engine
        for engine in problem.engines
        if engine.gpu in pools
        and engine.tp <= pools[engine.gpu].gpus_per_node
        and pools[engine.gpu].nodes * (pools[engine.gpu].gpus_per_node // engine.tp) >= engine.pp
    ]


def instance_bandwidth(problem: PlanningProblem, engine: EnginePerformance) -> float:
    """Return ``nic_bandwidth · tp · pp``, bytes/s in one direction."""
    return problem.gpu(engine.gpu).nic_bandwidth * engine.tp * engine.pp


def call_seconds(problem: PlanningProblem, call: CallClass) -> float:
    """Return the shortest time of one call alone: best pair of engines, or best mixed engine, s.

    Infinite where no engine's KV pool holds the call.
    """
    engines = buildable(problem)
    kv_bytes = call.prompt_tokens * problem.llm.kv_bytes_per_token
    steps = max(call.output_tokens - 1.0, 0.0)
    context = call.prompt_tokens + call.output_tokens / 2.0
    full = call.prompt_tokens + call.output_tokens
    best = float("inf")
    if "prefill" in problem.roles and "decode" in problem.roles:
        prefills = [
            (engine.prefill.call_seconds(call.new_tokens, call.cached_tokens), link)
            for engine in engines
            if call.prompt_tokens <= engine.kv_capacity_tokens
            for link in [instance_bandwidth(problem, engine)]
        ]
        decodes = [
            (steps * engine.decode.step_seconds(1, context), link)
            for engine in engines
            if full <= engine.kv_capacity_tokens
            for link in [instance_bandwidth(problem, engine)]
        ]
        latency = problem.assumptions.transfer_latency_s
        for prefill, from_link in prefills:
            for decode, to_link in decodes:
                transfer = latency + kv_bytes / min(from_link, to_link)
                best = min(best, prefill + transfer + decode)
    if "mixed" in problem.roles:
        for engine in engines:
            if full <= engine.kv_capacity_tokens:
                prefill = engine.prefill.call_seconds(call.new_tokens, call.cached_tokens)
                best = min(best, prefill + steps * engine.decode.step_seconds(1, context))
    return best


def longest_path(workflow: WorkflowClass, seconds: Mapping[str, float]) -> float:
    """Return the longest path of ``repeat · (tool_seconds + seconds[call])`` over the DAG, s."""
    by_name = {call.name: call for call in workflow.calls}
    end: dict[str, float] = {}
    for name in workflow.order():
        call = by_name[name]
        start = max((end[parent] for parent in call.after), default=0.0)
        end[name] = start + call.repeat * (call.tool_seconds + seconds[name])
    return max(end.values())


def horizon_seconds(problem: PlanningProblem, workflow: WorkflowClass) -> float:
    """Return H of a workflow class, s; it depends on workload and cluster, not on any plan."""
    return longest_path(
        workflow, {call.name: call_seconds(problem, call) for call in workflow.calls}
    )
