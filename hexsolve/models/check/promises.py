"""What a plan promises per workflow class, and what it is measured by."""

from collections.abc import Mapping

from hexsolve.models.check.packing import nodes_needed
from hexsolve.models.check.seconds import (
    decode_alone,
    decode_steps,
    decode_stretch,
    first_token_seconds,
    last_sibling_seconds,
    output_token_seconds,
    prefill_alone,
)
from hexsolve.models.check.transfer import bandwidth, kv_bytes, transfer_seconds_per_s
from hexsolve.models.check.view import PlanView
from hexsolve.models.latency import EnginePerformance
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.workload import CallClass, WorkflowClass


def call_latency(view: PlanView, workflow: WorkflowClass, call: CallClass) -> float:
    """Return ℓ, the mean latency of a call class without tools, s; 0 at load 0."""
    demanded = view.plan.load * workflow.rate_per_s * call.repeat * call.parallel
    if demanded <= 0.0:
        return 0.0
    seconds_per_s = transfer_seconds_per_s(view, workflow.name, call)
    for serving in view.servings(workflow.name, call.name, "prefill", "mixed"):
        seconds_per_s += serving.calls_per_s * first_token_seconds(serving, view.problem)
    for serving in view.servings(workflow.name, call.name, "decode", "mixed"):
        decode = decode_steps(call) * output_token_seconds(serving)
        decode += decode_stretch(serving, view.problem)
        seconds_per_s += serving.calls_per_s * decode
    return seconds_per_s / demanded


def last_sibling_lag(view: PlanView, workflow: WorkflowClass, call: CallClass) -> float:
    """Return how much later than the mean call the last of its siblings is, s; 0 at load 0."""
    demanded = view.plan.load * workflow.rate_per_s * call.repeat * call.parallel
    if demanded <= 0.0:
        return 0.0
    servings = view.servings(workflow.name, call.name, "prefill", "mixed")
    lags = sum(s.calls_per_s * last_sibling_seconds(s, view.problem) for s in servings)
    return lags / demanded


def workflow_latency(view: PlanView, workflow: WorkflowClass) -> float:
    """Return the longest path of mean latencies, last siblings', through a workflow class, s."""
    return _longest_path(
        workflow,
        {
            call.name: call_latency(view, workflow, call) + last_sibling_lag(view, workflow, call)
            for call in workflow.calls
        },
    )


def standalone_horizon(problem: PlanningProblem, workflow: WorkflowClass) -> float | None:
    """Return H, the longest path with the best engine for every call, s.

    Null when some call fits on no engine that the inventory holds.
    """
    best: dict[str, float] = {}
    for call in workflow.calls:
        alone = _call_alone(problem, call)
        if alone is None:
            return None
        best[call.name] = alone
    return _longest_path(workflow, best)


def _longest_path(workflow: WorkflowClass, latency: Mapping[str, float]) -> float:
    """Return the latest end of ``repeat · (tool_seconds + latency)`` after all of `after`."""
    end: dict[str, float] = {}
    waiting = list(workflow.calls)
    while waiting:
        ready = [call for call in waiting if all(parent in end for parent in call.after)]
        for call in ready:
            start = max((end[parent] for parent in call.after), default=0.0)
            end[call.name] = start + call.repeat * (call.tool_seconds + latency[call.name])
        waiting = [call for call in waiting if call.name not in end]
    return max(end.values())


def _call_alone(problem: PlanningProblem, call: CallClass) -> float | None:
    prompt = call.new_tokens + call.cached_tokens
    engines = [engine for engine in problem.engines if _fits_inventory(problem, engine)]
    prefill = [e for e in engines if prompt <= e.kv_capacity_tokens]
    decode = [e for e in engines if prompt + call.output_tokens <= e.kv_capacity_tokens]
    steps = decode_steps(call)
    seconds = []
    if "prefill" in problem.roles and "decode" in problem.roles:
        for sender in prefill:
            for receiver in decode:
                link = min(bandwidth(problem, sender), bandwidth(problem, receiver))
                sent = problem.assumptions.transfer_latency_s + kv_bytes(problem, call) / link
                alone = prefill_alone(sender, call) + sent + steps * decode_alone(receiver, call)
                seconds.append(alone)
    if "mixed" in problem.roles:
        seconds += [prefill_alone(e, call) + steps * decode_alone(e, call) for e in decode]
    return min(seconds, default=None)


def _fits_inventory(problem: PlanningProblem, engine: EnginePerformance) -> bool:
    """Return whether one instance, on its own, fits into the cluster."""
    for pool in problem.cluster.pools:
        if pool.gpu == engine.gpu:
            nodes = nodes_needed({engine.tp: engine.pp}, pool.gpus_per_node)
            return nodes is not None and nodes <= pool.nodes
    return False
