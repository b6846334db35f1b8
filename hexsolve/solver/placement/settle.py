"""Operating points at which a plan's groups really run, rather than the grid points above them."""

import numpy as np

from hexsolve.models.plan import BatchCycle, DecodeStep, MixedStep, OperatingPoint, SingleCalls
from hexsolve.solver.placement.candidates import Candidate
from hexsolve.solver.placement.rules import GroupRules
from hexsolve.solver.placement.traffic import Vector

# Keeps the settled point on the safe side of its own rule.
MARGIN = 1.0 + 1e-7


def settled(
    rules: GroupRules, candidate: Candidate, count: int, flow: Vector, load: float
) -> Candidate:
    """Return the candidate at the least latency that keeps its rules under the given flows.

    The solver chooses from a grid, so that a group is usually a little less busy than its
    point allows. The wait, cycle or step time at which its own rule is tight is smaller, and
    with it every other rule has more room: the promise gets better and stays true.

    Parameters
    ----------
    rules : GroupRules
    candidate : Candidate
    count : int
        Instances of the group.
    flow : Vector
        Calls/s per class that the whole group serves.
    load : float
        ``θ``: with it comes what share of a class an instance serves.
    """
    point = _point(rules, candidate, count, flow, load)
    if point is None:
        return candidate
    better = rules.at(candidate.engine, candidate.role, point)
    if better is None or bool((better.latency > candidate.latency).any()):
        return candidate
    return better


def _point(
    rules: GroupRules, candidate: Candidate, count: int, flow: Vector, load: float
) -> OperatingPoint | None:
    share = _burst_share(rules, candidate, count, flow, load)
    match candidate.point:
        case SingleCalls():
            busy = rules.prefill_seconds(candidate.engine) / candidate.engine.pp
            wait = _wait(rules, busy, count, flow, share)
            return SingleCalls(wait_s=wait, burst_share=share)
        case BatchCycle():
            return _cycle(rules, candidate, count, flow, share)
        case DecodeStep() as point:
            fixed, per_call = _decode_terms(rules, candidate, point.batch_reference)
            left = 1.0 - float(flow @ per_call) / count
            # Without a fixed part the step time is free down to 0; the grid point stays.
            if fixed <= 0.0 or left <= 0.0:
                return None
            step = fixed / left * MARGIN
            return DecodeStep(step_s=step, batch_reference=point.batch_reference)
        case MixedStep() as point:
            return _mixed(rules, candidate, point, count, flow, share)


def _burst_share(
    rules: GroupRules, candidate: Candidate, count: int, flow: Vector, load: float
) -> float:
    """``φ = max flow / (θ · r · N)`` over the classes with siblings that the group serves."""
    bursts = (rules.traffic.others > 0.0) & (flow > 0.0)
    if load <= 0.0 or not bool(bursts.any()):
        return candidate.burst_share
    shares = flow[bursts] / (load * rules.traffic.rate[bursts] * count)
    return min(candidate.burst_share, float(shares.max()) * MARGIN)


def _wait(rules: GroupRules, busy: Vector, count: int, flow: Vector, burst_share: float) -> float:
    """``W = β · Σ flow · (E[S²] + k·E[S]²) / (2 · (N − Σ flow · E[S]))``."""
    second = rules.burstiness * float(flow @ (busy**2 * rules.spread(burst_share)))
    return second / (2.0 * (count - float(flow @ busy))) * MARGIN


def _cycle(
    rules: GroupRules, candidate: Candidate, count: int, flow: Vector, burst_share: float
) -> BatchCycle:
    """``D = f0 · N / (utilisation_max · N − Σ flow · m / pp)``, and the wait that goes with it."""
    marginal = rules.marginal_seconds(candidate.engine) / candidate.engine.pp
    left = rules.assumptions.prefill_utilisation_max - float(flow @ marginal) / count
    cycle = rules.fixed_seconds(candidate.engine) / left * MARGIN
    variation = float(flow @ rules.cycle_variation(candidate.engine, burst_share)) / count
    wait = rules.cycle_excess(candidate.engine, cycle) * variation * MARGIN
    return BatchCycle(cycle_s=cycle, wait_s=wait, burst_share=burst_share)


def _decode_terms(
    rules: GroupRules, candidate: Candidate, batch_reference: float
) -> tuple[float, Vector]:
    """Return c0 and, per class, ``d · (c1 + c2 · x)``: step time spent on one call in all."""
    engine = candidate.engine
    coefficients = engine.decode if candidate.role == "decode" else engine.mixed
    fixed, per_sequence, per_token = coefficients.affine_upper(batch_reference)
    traffic = rules.traffic
    return fixed, traffic.decode_steps * (per_sequence + per_token * traffic.context)


def _mixed(
    rules: GroupRules,
    candidate: Candidate,
    point: MixedStep,
    count: int,
    flow: Vector,
    burst_share: float,
) -> MixedStep | None:
    """``ε = Σ flow · e / N``, then ``δ = c0 / (1 − Σ flow · d·(c1 + c2·x) / (N · (1 − ε)))``."""
    work = rules.mixed_prefill_work(candidate.engine)
    share = float(flow @ work) / count * MARGIN
    if share <= 0.0:
        return None
    fixed, per_call = _decode_terms(rules, candidate, point.batch_reference)
    left = 1.0 - float(flow @ per_call) / count / (1.0 - share)
    if fixed <= 0.0 or left <= 0.0:
        return None
    delta = fixed / left * MARGIN
    service = work + np.ceil(rules.traffic.new / rules.assumptions.chunk_tokens) * delta
    return MixedStep(
        decode_step_s=delta,
        prefill_share=share,
        wait_s=_wait(rules, service, count, flow, burst_share),
        batch_reference=point.batch_reference,
        burst_share=burst_share,
    )
