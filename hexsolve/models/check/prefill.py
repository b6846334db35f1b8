"""Rules on groups in the role `prefill`."""

from collections.abc import Iterator

from hexsolve.models.check.seconds import (
    batch_overhead,
    batch_share,
    decode_steps,
    prefill_alone,
    prefill_seconds,
    siblings_met,
)
from hexsolve.models.check.transfer import bandwidth, busy_transfer_seconds
from hexsolve.models.check.view import PlanView
from hexsolve.models.check.violation import Violation, at_most
from hexsolve.models.plan import BatchCycle, SingleCalls

WAIT = "Σ flow·(β·(E[S²] + k·E[S]²) + 2W·E[S]) is"


def prefill_wait(view: PlanView) -> Iterator[Violation]:
    """Require that calls prefilled one at a time wait no longer than promised.

    A stage's service time is s/pp with coefficient of variation cv. With arrival rate λ per
    instance and utilisation ρ the mean wait of M/G/1 is ``λ·E[S²] / (2·(1 − ρ))`` (Pollaczek,
    Khinchine), times β for bursts. Where a call meets k siblings, calls bring E[S²] + k·E[S]² each
    (M^X/G/1). Multiplied out with W promised:
    ``Σ flow·(β·(E[S²] + k·E[S]²) + 2W·E[S]) ≤ 2W·N``.
    """
    for group in view.groups:
        point = group.group.operating_point
        if isinstance(point, SingleCalls):
            pressure = 0.0
            for serving in group.servings:
                stage = prefill_alone(serving.engine, serving.call) / group.group.pp
                square = stage**2 * (1.0 + serving.call.new_tokens_cv**2 + siblings_met(serving))
                waits = view.problem.workload.burstiness * square + 2.0 * point.wait_s * stage
                pressure += serving.calls_per_s * waits
            limit = 2.0 * point.wait_s * group.group.count
            yield from at_most("prefill_wait", pressure, limit, "s", group.ids, WAIT)


def prefill_utilisation(view: PlanView) -> Iterator[Violation]:
    """Require that instances prefilling one call at a time are not busier than allowed."""
    for group in view.groups:
        if isinstance(group.group.operating_point, SingleCalls):
            busy = sum(
                s.calls_per_s * prefill_alone(s.engine, s.call) / group.group.pp
                for s in group.servings
            )
            limit = view.problem.assumptions.prefill_utilisation_max * group.group.count
            yield from at_most(
                "prefill_utilisation", busy, limit, "instances", group.ids, "busy are"
            )


def prefill_cycle(view: PlanView) -> Iterator[Violation]:
    """Require that the batch gathered during one cycle takes no longer than a cycle."""
    assumptions = view.problem.assumptions
    for group in view.groups:
        point = group.group.operating_point
        if isinstance(point, BatchCycle):
            count = group.group.count
            seconds = batch_overhead(group.engine) * count
            for serving in group.servings:
                per_batch = point.cycle_s * serving.calls_per_s / group.group.pp
                budget = assumptions.prefill_token_budget
                seconds += per_batch * batch_share(serving.engine, serving.call, budget)
            limit = assumptions.prefill_utilisation_max * point.cycle_s * count
            yield from at_most(
                "prefill_cycle", seconds, limit, "s", group.ids, "batches of all instances take"
            )


def prefill_cycle_wait(view: PlanView) -> Iterator[Violation]:
    """Require that batches of varying length delay calls no more than promised.

    Batch k + 1 takes f0 and m for each arrival during batch k. With ρ the largest share of m that
    `prefill_cycle` allows and v = Σ flow·E[m²] per instance, the batch that a call meets is longer
    than the mean one by v/(1 − ρ²); the call waits for half of it, and for ρ of it once more
    in its own batch: ``β·(1 + 2ρ)/(2·(1 − ρ²))·v ≤ W``.
    """
    given = view.problem.assumptions
    for group in view.groups:
        point = group.group.operating_point
        if isinstance(point, BatchCycle):
            rho = given.prefill_utilisation_max - batch_overhead(group.engine) / point.cycle_s
            rho = max(rho, 0.0)
            variation = sum(
                s.calls_per_s
                * batch_share(s.engine, s.call, given.prefill_token_budget) ** 2
                * (1.0 + s.call.new_tokens_cv**2 + siblings_met(s))
                / group.group.pp
                for s in group.servings
            )
            delay = view.problem.workload.burstiness * variation * (0.5 + rho) / (1.0 - rho * rho)
            limit = point.wait_s * group.group.count
            what = "β·(1 + 2ρ)/(2·(1 − ρ²))·v is"
            yield from at_most("prefill_cycle_wait", delay, limit, "s", group.ids, what)


def prefill_token_budget(view: PlanView) -> Iterator[Violation]:
    """Require that the batch gathered during one cycle holds no more tokens than it may."""
    for group in view.groups:
        point = group.group.operating_point
        if isinstance(point, BatchCycle):
            tokens = point.cycle_s * sum(s.calls_per_s * s.call.new_tokens for s in group.servings)
            stages = group.group.pp * group.group.count
            limit = view.problem.assumptions.prefill_token_budget * stages
            yield from at_most(
                "prefill_token_budget", tokens, limit, "tokens", group.ids, "batches hold"
            )


def prefill_kv(view: PlanView) -> Iterator[Violation]:
    """Require that KV under way and prefixes kept for later fit into the pools (Little's law)."""
    assumptions = view.problem.assumptions
    for group in view.groups:
        if group.group.role == "prefill":
            tokens = 0.0
            for serving in group.servings:
                call = serving.call
                sent = busy_transfer_seconds(
                    view.problem, call, bandwidth(view.problem, group.engine)
                )
                active = prefill_seconds(serving, view.problem) + sent
                idle = call.tool_seconds + decode_steps(call) * assumptions.reference_tpot_s
                prompt = call.new_tokens + call.cached_tokens
                kept = idle * call.cached_tokens / call.parallel
                tokens += serving.calls_per_s * (active * prompt + kept)
            capacity = group.engine.kv_capacity_tokens * group.group.count
            limit = assumptions.kv_fill_max * capacity
            yield from at_most("prefill_kv", tokens, limit, "tokens", group.ids, "KV pools hold")


PREFILL_RULES = (
    prefill_wait,
    prefill_utilisation,
    prefill_cycle,
    prefill_cycle_wait,
    prefill_token_budget,
    prefill_kv,
)
