"""Operating points worth considering for each engine and role."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from hexsolve.models.latency import EnginePerformance
from hexsolve.models.plan import BatchCycle, DecodeStep, MixedStep, OperatingPoint, SingleCalls
from hexsolve.models.problem import PlanningProblem, Role
from hexsolve.models.standalone import buildable
from hexsolve.solver.placement.candidates import Candidate, without_dominated
from hexsolve.solver.placement.rules import GroupRules
from hexsolve.solver.placement.siblings import met
from hexsolve.solver.placement.traffic import Traffic, Vector

# Utilisations at which an average mix would wait for the offered mean wait. The last one is
# past any utilisation limit, so that the wait never binds where latency is free.
PREFILL_UTILISATION = (0.25, 0.5, 0.7, 0.82, 0.9, 0.95, 0.99)
CYCLES_PER_FIXED_TIME = (5.0, 12.0, 30.0)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024)
MIXED_BATCH_SIZES = (1, 8, 32, 64, 128, 256, 512)
MIXED_PREFILL_SHARE = (0.1, 0.25, 0.45, 0.65)
# Over how many instances siblings are spread at least, where there are siblings. Every further
# level multiplies the candidates: six of them left 480 GPUs without a plan after a minute.
BURST_INSTANCES = (1, 5)


def candidate_groups(
    problem: PlanningProblem,
    traffic: Traffic,
    load: float | None = None,
    ignore: frozenset[str] = frozenset(),
    density: int = 1,
) -> list[Candidate]:
    """Return all undominated candidates of a problem, in a fixed order, with keys set.

    Parameters
    ----------
    problem, traffic
    load : float, optional
        The load to be served, where it is given: it spares points made for more.
    ignore : frozenset of str
        Constraint groups left out: ``ttft``, ``tpot``, ``kv``, ``link``.
    density : int
        Points of this grid per interval of the usual one, which it contains.

    Notes
    -----
    Cost: engines · operating points · classes; dominance is quadratic only within one engine
    and role (about 50 points; the mixed ones grow with `density` squared).
    """
    rules = GroupRules(problem, traffic, ignore)
    most = None if load is None else load * traffic.rate
    found: list[Candidate] = []
    for engine in buildable(problem):
        for role in problem.roles:
            points = _points(rules, engine, role, density)
            made = [rules.at(engine, role, point) for point in points]
            found.extend(without_dominated([c for c in made if c is not None], most))
    return numbered(found)


def numbered(candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates with their keys set, in the same order."""
    return [replace(candidate, key=f"g{index}") for index, candidate in enumerate(candidates)]


def _points(
    rules: GroupRules, engine: EnginePerformance, role: Role, density: int
) -> Iterator[OperatingPoint]:
    if role == "decode":
        yield from _decode_points(rules, engine, density)
        return
    for share in _burst_shares(rules, engine):
        if role == "prefill":
            yield from _prefill_points(rules, engine, share, density)
        else:
            yield from _mixed_points(rules, engine, share, density)


def _denser(values: Sequence[float], density: int) -> list[float]:
    """Return the values, and between neighbours `density` − 1 more at equal ratios."""
    between = [
        low * (high / low) ** (step / density)
        for low, high in pairwise(values)
        for step in range(1, density)
    ]
    return sorted([*values, *between])


def _denser_counts(values: Sequence[int], density: int) -> list[int]:
    """Return the same of whole numbers."""
    return sorted({round(value) for value in _denser(values, density)})


def _denser_levels(values: Sequence[float], density: int) -> list[float]:
    """Return utilisations, and more of them between, at equal ratios of the time that is left."""
    between = [
        1.0 - (1.0 - low) * ((1.0 - high) / (1.0 - low)) ** (step / density)
        for low, high in pairwise(values)
        for step in range(1, density)
    ]
    return sorted([*values, *between])


def _burst_shares(rules: GroupRules, engine: EnginePerformance) -> list[float]:
    """Return shares of a burst that one instance may get; all of it where there are no bursts.

    No smaller ones than instances of the engine need if they serve all calls and the inventory has
    one node more, which is what `exact_gains` asks about.
    """
    if not bool((rules.traffic.others > 0.0).any()):
        return [1.0]
    pool = next(pool for pool in rules.problem.cluster.pools if pool.gpu == engine.gpu)
    most = (pool.nodes + 1) * (pool.gpus_per_node // engine.tp) // engine.pp
    return [1.0 / spread for spread in BURST_INSTANCES if spread <= most]


def _prefill_points(
    rules: GroupRules, engine: EnginePerformance, share: float, density: int
) -> Iterator[OperatingPoint]:
    seconds = rules.prefill_seconds(engine)
    busy = seconds / engine.pp
    waits = _waits(rules, busy, share, _denser_levels(PREFILL_UTILISATION, density))
    slack = rules.traffic.ttft_limit - seconds - met(rules.traffic, share) * busy / 2.0
    for wait in _sorted_unique([*waits, *slack[np.isfinite(slack) & (slack > 0)]]):
        yield SingleCalls(wait_s=wait, burst_share=share)
    fixed = rules.fixed_seconds(engine)
    if fixed > 0:
        for factor in _denser(CYCLES_PER_FIXED_TIME, density):
            wait = _cycle_wait(rules, engine, factor * fixed, share)
            if wait > 0.0:
                yield BatchCycle(cycle_s=factor * fixed, wait_s=wait, burst_share=share)


def _cycle_wait(
    rules: GroupRules, engine: EnginePerformance, cycle: float, burst_share: float
) -> float:
    """Return the wait at which the length of the cycle and the wait bind together, s."""
    rate = rules.traffic.rate
    marginal = rules.marginal_seconds(engine) / engine.pp
    share = rules.assumptions.prefill_utilisation_max - rules.fixed_seconds(engine) / cycle
    square = float(rate @ rules.cycle_variation(engine, burst_share))
    variation = share * square / float(rate @ marginal)
    return rules.cycle_excess(engine, cycle) * variation


def _decode_points(
    rules: GroupRules, engine: EnginePerformance, density: int
) -> Iterator[OperatingPoint]:
    traffic = rules.traffic
    context = _mean_context(traffic)
    steps = {
        engine.decode.step_seconds(batch, batch * context): float(batch)
        for batch in _denser_counts(BATCH_SIZES, density)
        if batch <= rules.assumptions.max_batch
    }
    for limit in _finite(traffic.tpot_limit):
        steps.setdefault(limit, _batch_at(engine, limit, context, rules.assumptions.max_batch))
    for step in sorted(steps):
        yield DecodeStep(step_s=step, batch_reference=steps[step])


def _mixed_points(
    rules: GroupRules, engine: EnginePerformance, burst_share: float, density: int
) -> Iterator[OperatingPoint]:
    traffic = rules.traffic
    context = _mean_context(traffic)
    for share in _denser(MIXED_PREFILL_SHARE, density):
        steps = {
            engine.mixed.step_seconds(batch, batch * context, 0, 0): float(batch)
            for batch in _denser_counts(MIXED_BATCH_SIZES, density)
            if batch <= rules.assumptions.max_batch
        }
        for limit in _finite(traffic.tpot_limit):
            # the step without its chunk that just meets the limit on time per output token
            delta = limit * (1.0 - share)
            steps.setdefault(delta, _batch_at(engine, delta, context, rules.assumptions.max_batch))
        for delta in sorted(steps):
            chunks = np.ceil(traffic.new / rules.assumptions.chunk_tokens)
            service = rules.mixed_prefill_work(engine) + chunks * delta
            for wait in _mixed_waits(rules, engine, share, service, burst_share):
                yield MixedStep(
                    decode_step_s=delta,
                    prefill_share=share,
                    wait_s=wait,
                    batch_reference=steps[delta],
                    burst_share=burst_share,
                )


def _mixed_waits(
    rules: GroupRules,
    engine: EnginePerformance,
    share: float,
    service: Vector,
    burst_share: float,
) -> list[float]:
    """Return the waits at which the share of prefill work and the queue bind together."""
    rate = rules.traffic.rate
    work = rules.mixed_prefill_work(engine)
    utilisation = share * float(rate @ service) / float(rate @ work)
    if utilisation >= rules.assumptions.prefill_utilisation_max:
        return []
    return _waits(rules, service, burst_share, (utilisation,))


def _waits(
    rules: GroupRules, busy: Vector, burst_share: float, utilisations: Sequence[float]
) -> list[float]:
    """Return Pollaczek–Khinchine waits of the average mix at given utilisations, s."""
    rate = rules.traffic.rate
    second = rules.burstiness * float(rate @ (busy**2 * rules.spread(burst_share)))
    residual = second / (2.0 * float(rate @ busy))
    return [residual * level / (1.0 - level) for level in utilisations]


def _mean_context(traffic: Traffic) -> float:
    """Return the mean context of a decoding sequence: calls weighted by their decode steps."""
    weight = traffic.rate * traffic.decode_steps
    if float(weight.sum()) == 0.0:
        return float(traffic.context.mean())
    return float(weight @ traffic.context / weight.sum())


def _batch_at(engine: EnginePerformance, step: float, context: float, largest: int) -> float:
    """Return the largest batch (≥ 1) of mean context whose step lasts at most `step`."""
    low, high = 1.0, float(largest)
    if engine.decode.step_seconds(high, high * context) <= step:
        return high
    for _ in range(60):
        middle = (low + high) / 2.0
        if engine.decode.step_seconds(middle, middle * context) <= step:
            low = middle
        else:
            high = middle
    return low


def _finite(values: Vector) -> list[float]:
    return _sorted_unique(values[np.isfinite(values)])


def _sorted_unique(values: "list[float] | Vector") -> list[float]:
    return [float(value) for value in np.unique(np.asarray(values, dtype=np.float64))]
