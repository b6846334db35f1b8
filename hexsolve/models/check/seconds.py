"""The planning model's latencies, computed plainly from the engines' raw coefficients.

Nothing here calls the arithmetic of `EnginePerformance`: a mistake there would pass unseen.
"""

import math

from hexsolve.models.assumptions import PlanningAssumptions
from hexsolve.models.check.view import GroupView, Serving
from hexsolve.models.latency import DecodeCoefficients, EnginePerformance, MixedCoefficients
from hexsolve.models.plan import BatchCycle, DecodeStep, MixedStep, SingleCalls
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.workload import CallClass


def decode_steps(call: CallClass) -> float:
    """Return d: the first output token comes out of prefill."""
    return max(call.output_tokens - 1.0, 0.0)


def decode_context(call: CallClass) -> float:
    """Return x, the mean context while decoding, tokens."""
    return call.new_tokens + call.cached_tokens + call.output_tokens / 2.0


def token_pairs(call: CallClass) -> float:
    """Return w, the attention work of a prefill, tokens²."""
    return call.new_tokens * (call.cached_tokens + 0.5 * call.new_tokens)


def prefill_alone(engine: EnginePerformance, call: CallClass) -> float:
    """Return s, the time of a prefill batch of this call alone, s."""
    c = engine.prefill
    seconds = c.p0 + c.p1 * call.new_tokens + c.p2 * token_pairs(call)
    if call.new_tokens > c.knee:
        seconds += c.p3 * (call.new_tokens - c.knee)
    seconds += c.p4 * (1.0 - math.exp(-call.new_tokens / c.scale))
    return max(c.floor, seconds)


def batch_overhead(engine: EnginePerformance) -> float:
    """Return f0, what a prefill batch costs however small it is, s."""
    return max(engine.prefill.floor, engine.prefill.p0 + engine.prefill.p4)


def batch_share(engine: EnginePerformance, call: CallClass, token_budget: float) -> float:
    """Return m, what a call adds at most to a batch of up to `token_budget` tokens, s."""
    c = engine.prefill
    per_token = c.p1
    if token_budget > c.knee:
        # The chord from nothing to a full batch lies above the convex part beyond the knee.
        per_token += c.p3 * (token_budget - c.knee) / token_budget
    return per_token * call.new_tokens + c.p2 * token_pairs(call)


def siblings_met(serving: Serving) -> float:
    """Return k, the siblings that a call meets at its instance on average."""
    point = serving.group.operating_point
    assert not isinstance(point, DecodeStep)
    return max(serving.call.parallel - 1.0, 0.0) * point.burst_share


def siblings_ahead(serving: Serving, problem: PlanningProblem) -> float:
    """Return the mean time that a call waits for siblings started together with it, s."""
    point = serving.group.operating_point
    met = siblings_met(serving)
    if isinstance(point, SingleCalls):
        # Half of those met are ahead in the queue.
        return 0.5 * met * prefill_alone(serving.engine, serving.call) / serving.group.pp
    if isinstance(point, BatchCycle):
        # All those met are in the call's own batch.
        budget = problem.assumptions.prefill_token_budget
        return met * batch_share(serving.engine, serving.call, budget)
    return 0.5 * met * chunked_prefill(serving, problem.assumptions)


def last_sibling_seconds(serving: Serving, problem: PlanningProblem) -> float:
    """Return how much later than the mean the last of a call's siblings is, s.

    Drawn one by one, siblings find the instance that each of the earlier ones found with
    probability φ, so that j of them are at ``1 + (1 − φ) + … + (1 − φ)^(j − 1)`` instances.
    """
    point = serving.group.operating_point
    assert not isinstance(point, DecodeStep)
    parallel, share = serving.call.parallel, point.burst_share
    if parallel <= 1.0:
        return 0.0
    elsewhere = 1.0 - share
    instances = (1.0 - math.pow(elsewhere, parallel)) / (1.0 - elsewhere)
    ahead = siblings_ahead(serving, problem)
    lag = math.log(instances) * (point.wait_s + ahead + decode_stretch(serving, problem))
    if isinstance(point, SingleCalls):
        return lag + share * ahead
    if isinstance(point, MixedStep):
        # The first prefilled decodes while those behind it are prefilled, and ends hardly sooner.
        return lag + share * (ahead - siblings_behind(serving))
    return lag


def siblings_behind(serving: Serving) -> float:
    """Return the mean chunk work of siblings behind a call in a mixed engine's queue, s."""
    return 0.5 * siblings_met(serving) * chunk_seconds(serving.engine, serving.call)


def decode_stretch(serving: Serving, problem: PlanningProblem) -> float:
    """Return by how much chunks queued at its first token delay the end of a call, s.

    They belong to siblings behind it and, on average a share ε of the time since it came, to calls
    that came after it; while they are worked off, others come: over 1 − ε.
    """
    point = serving.group.operating_point
    if not isinstance(point, MixedStep) or serving.call.parallel <= 1.0:
        return 0.0
    since = point.wait_s + chunked_prefill(serving, problem.assumptions)
    since += siblings_ahead(serving, problem)
    queued = siblings_behind(serving) + point.prefill_share * since
    return queued / (1.0 - point.prefill_share)


def prefill_seconds(serving: Serving, problem: PlanningProblem) -> float:
    """Return z, from the start of a call's prefill batch to its end, s: alone, or with others."""
    point = serving.group.operating_point
    if isinstance(point, SingleCalls):
        return prefill_alone(serving.engine, serving.call)
    assert isinstance(point, BatchCycle)
    budget = problem.assumptions.prefill_token_budget
    own = batch_share(serving.engine, serving.call, budget)
    return point.cycle_s + point.wait_s + own + siblings_ahead(serving, problem)


def decode_alone(engine: EnginePerformance, call: CallClass) -> float:
    """Return the time of a decode step with this call only, at its mean context, s."""
    c = engine.decode
    return c.d0 + c.d1 + c.d2 * decode_context(call) + c.d3 * c.active_share


def linear_step(group: GroupView) -> tuple[float, float, float]:
    """Return c0, c1, c2: the tangent, at the reference batch, of a step without a chunk."""
    point = group.group.operating_point
    assert isinstance(point, DecodeStep | MixedStep)
    c: DecodeCoefficients | MixedCoefficients = group.engine.decode
    fixed = group.engine.decode.d0
    if isinstance(point, MixedStep):
        c, fixed = group.engine.mixed, group.engine.mixed.m0
    untouched = (1.0 - c.active_share) ** point.batch_reference
    # d/dB of 1 − (1 − a)^B; for a = 1 every expert is touched and the slope is 0.
    slope = -math.log(1.0 - c.active_share) * untouched if c.active_share < 1.0 else 0.0
    at_reference = c.d3 * (1.0 - untouched)
    return fixed + at_reference - c.d3 * slope * point.batch_reference, c.d1 + c.d3 * slope, c.d2


def chunk_seconds(engine: EnginePerformance, call: CallClass) -> float:
    """Return e, what the chunks of a prompt add to a mixed engine's steps, s."""
    return engine.mixed.m1 * call.new_tokens + engine.mixed.m2 * token_pairs(call)


def chunked_prefill(serving: Serving, assumptions: PlanningAssumptions) -> float:
    """Return S, from a prompt's first chunk to its first token on a mixed engine, s."""
    point = serving.group.operating_point
    assert isinstance(point, MixedStep)
    chunks = math.ceil(serving.call.new_tokens / assumptions.chunk_tokens)
    return chunk_seconds(serving.engine, serving.call) + chunks * point.decode_step_s


def mixed_token_seconds(point: MixedStep) -> float:
    """Return τ̄, a mixed engine's time per output token, s."""
    return point.decode_step_s / (1.0 - point.prefill_share)


def first_token_seconds(serving: Serving, problem: PlanningProblem) -> float:
    """Return the mean time to first token that a prefill or mixed group promises, s."""
    point = serving.group.operating_point
    ahead = siblings_ahead(serving, problem)
    if isinstance(point, SingleCalls):
        return point.wait_s + prefill_alone(serving.engine, serving.call) + ahead
    if isinstance(point, BatchCycle):
        budget = problem.assumptions.prefill_token_budget
        own = batch_share(serving.engine, serving.call, budget)
        cycles = (1.0 + problem.workload.burstiness / 2.0) * point.cycle_s
        return cycles + own + point.wait_s + ahead
    assert isinstance(point, MixedStep)
    chunks = chunked_prefill(serving, problem.assumptions)
    return point.wait_s + chunks + point.decode_step_s / 2.0 + ahead


def output_token_seconds(serving: Serving) -> float:
    """Return the time per output token that a decode or mixed group promises, s."""
    point = serving.group.operating_point
    if isinstance(point, DecodeStep):
        return point.step_s
    assert isinstance(point, MixedStep)
    return mixed_token_seconds(point)
