"""The planning model's rules as numbers per candidate and call class, for the oracle.

Written from docs/planning-model.md; shares no code with the solver or the checker.
"""

import math
from dataclasses import dataclass

from hexsolve.models.latency import EnginePerformance, prefill_work
from hexsolve.models.plan import BatchCycle, DecodeStep, MixedStep, OperatingPoint, SingleCalls
from hexsolve.models.problem import PlanningProblem, Role
from hexsolve.models.workload import CallClass, WorkflowClass


@dataclass(frozen=True)
class Candidate:
    """An engine in a role at an operating point; how many of it is the question."""

    engine: EnginePerformance
    role: Role
    operating_point: OperatingPoint


def can_stand(problem: PlanningProblem, candidate: Candidate) -> bool:
    """Return whether instances keep their operating point at least while idle."""
    any_call = problem.workload.classes[0].calls[0]
    spare = [each for each, _ in capacities(problem, candidate, any_call)]
    return candidate.role in problem.roles and min(spare) >= 0.0


def decode_steps(call: CallClass) -> float:
    return max(call.output_tokens - 1.0, 0.0)


def mean_context(call: CallClass) -> float:
    return call.prompt_tokens + call.output_tokens / 2.0


def alone_seconds(engine: EnginePerformance, call: CallClass) -> float:
    return engine.prefill.call_seconds(call.new_tokens, call.cached_tokens)


def bandwidth(problem: PlanningProblem, engine: EnginePerformance) -> float:
    return problem.gpu(engine.gpu).nic_bandwidth * engine.tp * engine.pp


def kv_bytes(problem: PlanningProblem, call: CallClass) -> float:
    return call.prompt_tokens * problem.llm.kv_bytes_per_token


def transfer_seconds(problem: PlanningProblem, call: CallClass, link: float) -> float:
    a = problem.assumptions
    sent = kv_bytes(problem, call) / (link * (1.0 - a.link_utilisation_max))
    return a.transfer_latency_s + sent


def chunked_seconds(problem: PlanningProblem, candidate: Candidate, call: CallClass) -> float:
    """S: from a prompt's first chunk to its first token."""
    point = candidate.operating_point
    assert isinstance(point, MixedStep)
    work = prefill_work(call.new_tokens, call.cached_tokens)
    busy = candidate.engine.mixed.prefill_seconds(call.new_tokens, work)
    chunks = math.ceil(call.new_tokens / problem.assumptions.chunk_tokens)
    return busy + chunks * point.decode_step_s


def burst_share(candidate: Candidate) -> float:
    point = candidate.operating_point
    return 1.0 if isinstance(point, DecodeStep) else point.burst_share


def least_instances(problem: PlanningProblem, candidate: Candidate) -> int:
    """Fewest instances, if any, over which siblings that all go there are spread enough."""
    able = [
        call
        for workflow in problem.workload.classes
        for call in workflow.calls
        if call.parallel > 1.0 and may_serve(problem, candidate, workflow, call)
    ]
    return math.ceil(1.0 / burst_share(candidate) - 1e-9) if able else 1


def siblings_here(candidate: Candidate, call: CallClass) -> float:
    """k: how many of its siblings a call meets at its instance."""
    return burst_share(candidate) * max(0.0, call.parallel - 1.0)


def last_sibling(problem: PlanningProblem, candidate: Candidate, call: CallClass) -> float:
    """How much later than the mean call the last one of its siblings is."""
    point = candidate.operating_point
    if isinstance(point, DecodeStep) or call.parallel <= 1.0:
        return 0.0
    k, share = siblings_here(candidate, call), point.burst_share
    instances = (1.0 - (1.0 - share) ** call.parallel) / share
    if isinstance(point, BatchCycle):
        return math.log(instances) * (point.wait_s + k * own_seconds(problem, candidate, call))
    if isinstance(point, SingleCalls):
        ahead = k / 2.0 * alone_seconds(candidate.engine, call) / candidate.engine.pp
    else:
        ahead = k / 2.0 * chunked_seconds(problem, candidate, call)
        steps = math.ceil(call.new_tokens / problem.assumptions.chunk_tokens) * point.decode_step_s
        wait = point.wait_s + ahead + stretch(problem, candidate, call)
        return math.log(instances) * wait + share * k / 2.0 * steps
    return math.log(instances) * (point.wait_s + ahead) + share * ahead


def stretch(problem: PlanningProblem, candidate: Candidate, call: CallClass) -> float:
    """How much chunks queued at its first token delay the end of a call with siblings."""
    point = candidate.operating_point
    if not isinstance(point, MixedStep) or call.parallel <= 1.0:
        return 0.0
    k, whole = siblings_here(candidate, call), chunked_seconds(problem, candidate, call)
    work = prefill_work(call.new_tokens, call.cached_tokens)
    busy = candidate.engine.mixed.prefill_seconds(call.new_tokens, work)
    came = point.prefill_share * (point.wait_s + whole * (1.0 + k / 2.0))
    return (k / 2.0 * busy + came) / (1.0 - point.prefill_share)


def own_seconds(problem: PlanningProblem, candidate: Candidate, call: CallClass) -> float:
    """m: the part of a prefill that a batch does not share."""
    budget = problem.assumptions.prefill_token_budget
    _, f1, f2 = candidate.engine.prefill.affine_upper(budget)
    return f1 * call.new_tokens + f2 * prefill_work(call.new_tokens, call.cached_tokens)


def capacities(
    problem: PlanningProblem, candidate: Candidate, call: CallClass
) -> list[tuple[float, float]]:
    """Return (capacity per instance, use per call/s) for every rule of the candidate's role.

    All rules have the form ``Σ flow · use ≤ capacity · count``; only uses depend on the call.
    """
    a = problem.assumptions
    engine, point = candidate.engine, candidate.operating_point
    link = bandwidth(problem, engine)
    pool = a.kv_fill_max * engine.kv_capacity_tokens
    beta = problem.workload.burstiness
    d, x, pp = decode_steps(call), mean_context(call), engine.pp
    k = siblings_here(candidate, call)
    spread = 1.0 + call.new_tokens_cv**2 + k
    network = (a.link_utilisation_max * link, kv_bytes(problem, call))
    if isinstance(point, SingleCalls | BatchCycle):
        s = alone_seconds(engine, call)
        kept = (call.tool_seconds + d * a.reference_tpot_s) * call.cached_tokens / call.parallel
        sent = transfer_seconds(problem, call, link)
        if isinstance(point, SingleCalls):
            kv = (pool, (s + sent) * call.prompt_tokens + kept)
            wait = 2.0 * point.wait_s
            queue = (wait, beta * (s / pp) ** 2 * spread + wait * s / pp)
            return [network, kv, queue, (a.prefill_utilisation_max, s / pp)]
        cycle = point.cycle_s
        f0 = engine.prefill.affine_upper(a.prefill_token_budget)[0]
        own = own_seconds(problem, candidate, call)
        batch_end = cycle + point.wait_s + (1.0 + k) * own
        kv = (pool, (batch_end + sent) * call.prompt_tokens + kept)
        batch = (a.prefill_utilisation_max * cycle - f0, cycle / pp * own)
        tokens = (float(pp * a.prefill_token_budget), cycle * call.new_tokens)
        rho = max(0.0, a.prefill_utilisation_max - f0 / cycle)
        longer = beta * (1.0 + 2.0 * rho) / (2.0 * (1.0 - rho**2)) * own**2 * spread / pp
        return [network, kv, batch, tokens, (point.wait_s, longer)]
    if isinstance(point, DecodeStep):
        c0, c1, c2 = engine.decode.affine_upper(point.batch_reference)
        tau = point.step_s
        return [
            network,
            (tau - c0, tau * d * (c1 + c2 * x)),
            (float(a.max_batch), tau * d),
            (pool, tau * d * x),
        ]
    c0, c1, c2 = engine.mixed.affine_upper(point.batch_reference)
    work = prefill_work(call.new_tokens, call.cached_tokens)
    busy = engine.mixed.prefill_seconds(call.new_tokens, work)
    service, tau = chunked_seconds(problem, candidate, call), point.step_s
    wait = 2.0 * point.wait_s
    held = (service + d * tau) * x + call.tool_seconds * call.cached_tokens / call.parallel
    return [
        (point.prefill_share, busy),
        (point.decode_step_s - c0, tau * d * (c1 + c2 * x)),
        (float(a.max_batch), tau * d),
        (wait, beta * service**2 * spread + wait * service),
        (a.prefill_utilisation_max, service),
        (pool, held),
    ]


def first_token_seconds(problem: PlanningProblem, candidate: Candidate, call: CallClass) -> float:
    point = candidate.operating_point
    k = siblings_here(candidate, call)
    if isinstance(point, SingleCalls):
        alone, pp = alone_seconds(candidate.engine, call), candidate.engine.pp
        return point.wait_s + alone + k / 2.0 * alone / pp
    if isinstance(point, BatchCycle):
        own = (1.0 + k) * own_seconds(problem, candidate, call)
        return (1.0 + problem.workload.burstiness / 2.0) * point.cycle_s + own + point.wait_s
    assert isinstance(point, MixedStep)
    service = (1.0 + k / 2.0) * chunked_seconds(problem, candidate, call)
    return point.wait_s + service + point.decode_step_s / 2.0


def per_token_seconds(candidate: Candidate) -> float:
    point = candidate.operating_point
    assert isinstance(point, DecodeStep | MixedStep)
    return point.step_s


def may_serve(
    problem: PlanningProblem, candidate: Candidate, workflow: WorkflowClass, call: CallClass
) -> bool:
    """Return whether `call_fits`, `ttft` and `tpot` let the candidate serve the class at all."""
    tokens = call.prompt_tokens + (call.output_tokens if candidate.role != "prefill" else 0.0)
    fits = tokens <= candidate.engine.kv_capacity_tokens
    if fits and candidate.role != "decode" and workflow.ttft_limit_s is not None:
        fits = first_token_seconds(problem, candidate, call) <= workflow.ttft_limit_s
    if fits and candidate.role != "prefill" and workflow.tpot_limit_s is not None:
        fits = per_token_seconds(candidate) <= workflow.tpot_limit_s
    return fits


def paths(workflow: WorkflowClass) -> list[tuple[str, ...]]:
    """Return every path from a source to a sink of a workflow class, by call names."""
    children = {
        call.name: [c.name for c in workflow.calls if call.name in c.after]
        for call in workflow.calls
    }

    def onward(name: str) -> list[tuple[str, ...]]:
        tails = [tail for child in children[name] for tail in onward(child)]
        return [(name, *tail) for tail in tails] or [(name,)]

    return [path for call in workflow.calls if not call.after for path in onward(call.name)]


def horizon(problem: PlanningProblem, workflow: WorkflowClass) -> float | None:
    """Return the standalone horizon of a workflow class, or None if a call fits nowhere."""
    pools = {pool.gpu: pool for pool in problem.cluster.pools}
    engines = []
    for engine in problem.engines:
        pool = pools.get(engine.gpu)
        # A stage larger than a node finds room for 0 of its kind in each.
        if pool is not None and engine.pp <= pool.nodes * (pool.gpus_per_node // engine.tp):
            engines.append(engine)
    calls = {}
    for call in workflow.calls:
        steps, x = decode_steps(call), mean_context(call)
        choices = []
        for last in engines:
            if call.prompt_tokens + call.output_tokens > last.kv_capacity_tokens:
                continue
            decode = steps * last.decode.step_seconds(1.0, x)
            if "mixed" in problem.roles:
                choices.append(alone_seconds(last, call) + decode)
            for first in engines:
                if "prefill" not in problem.roles or "decode" not in problem.roles:
                    continue
                if call.prompt_tokens <= first.kv_capacity_tokens:
                    link = min(bandwidth(problem, first), bandwidth(problem, last))
                    sent = kv_bytes(problem, call) / link
                    sent += problem.assumptions.transfer_latency_s
                    choices.append(alone_seconds(first, call) + sent + decode)
        if not choices:
            return None
        calls[call.name] = call.repeat * (call.tool_seconds + min(choices))
    return max(sum(calls[name] for name in path) for path in paths(workflow))
