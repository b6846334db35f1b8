"""Rules on groups in the role `mixed`."""

from collections.abc import Iterator

from hexsolve.models.check.seconds import (
    chunk_seconds,
    chunked_prefill,
    decode_context,
    decode_steps,
    linear_step,
    mixed_token_seconds,
    siblings_met,
)
from hexsolve.models.check.view import GroupView, PlanView
from hexsolve.models.check.violation import Violation, at_most
from hexsolve.models.plan import MixedStep


def mixed_share(view: PlanView) -> Iterator[Violation]:
    """Require that chunks take no larger share of the time than promised."""
    for group, point in _mixed(view):
        busy = sum(s.calls_per_s * chunk_seconds(s.engine, s.call) for s in group.servings)
        limit = point.prefill_share * group.group.count
        yield from at_most("mixed_share", busy, limit, "instances", group.ids, "busy with chunks")


def mixed_step(view: PlanView) -> Iterator[Violation]:
    """Require that a step over the batch in flight, its chunk apart, is as short as promised."""
    for group, point in _mixed(view):
        c0, c1, c2 = linear_step(group)
        count = group.group.count
        seconds = c0 * count
        for serving in group.servings:
            sequences = (
                mixed_token_seconds(point) * serving.calls_per_s * decode_steps(serving.call)
            )
            seconds += sequences * (c1 + c2 * decode_context(serving.call))
        limit = point.decode_step_s * count
        yield from at_most(
            "mixed_step", seconds, limit, "s", group.ids, "steps of all instances take"
        )


def mixed_batch(view: PlanView) -> Iterator[Violation]:
    """Require no more sequences in flight than the engines take at once."""
    for group, point in _mixed(view):
        steps = sum(s.calls_per_s * decode_steps(s.call) for s in group.servings)
        limit = view.problem.assumptions.max_batch * group.group.count
        yield from at_most(
            "mixed_batch",
            mixed_token_seconds(point) * steps,
            limit,
            "sequences",
            group.ids,
            "in flight",
        )


def mixed_wait(view: PlanView) -> Iterator[Violation]:
    """Require that prompts wait for their first chunk no longer than promised."""
    for group, point in _mixed(view):
        pressure = 0.0
        for serving in group.servings:
            service = chunked_prefill(serving, view.problem.assumptions)
            square = service**2 * (1.0 + serving.call.new_tokens_cv**2 + siblings_met(serving))
            waits = view.problem.workload.burstiness * square + 2.0 * point.wait_s * service
            pressure += serving.calls_per_s * waits
        limit = 2.0 * point.wait_s * group.group.count
        what = "Σ flow·(β·(E[S²] + k·E[S]²) + 2W·E[S]) is"
        yield from at_most("mixed_wait", pressure, limit, "s", group.ids, what)


def mixed_utilisation(view: PlanView) -> Iterator[Violation]:
    """Require that prompts are in their chunks for no larger share of the time than allowed."""
    for group, _ in _mixed(view):
        busy = sum(
            s.calls_per_s * chunked_prefill(s, view.problem.assumptions) for s in group.servings
        )
        limit = view.problem.assumptions.prefill_utilisation_max * group.group.count
        yield from at_most("mixed_utilisation", busy, limit, "instances", group.ids, "busy are")


def mixed_kv(view: PlanView) -> Iterator[Violation]:
    """Require that contexts in flight and prefixes kept for later fit into the KV pools."""
    assumptions = view.problem.assumptions
    for group, point in _mixed(view):
        tokens = 0.0
        for serving in group.servings:
            call = serving.call
            decoding = decode_steps(call) * mixed_token_seconds(point)
            active = (chunked_prefill(serving, assumptions) + decoding) * decode_context(call)
            kept = call.tool_seconds * call.cached_tokens / call.parallel
            tokens += serving.calls_per_s * (active + kept)
        capacity = group.engine.kv_capacity_tokens * group.group.count
        limit = assumptions.kv_fill_max * capacity
        yield from at_most("mixed_kv", tokens, limit, "tokens", group.ids, "KV pools hold")


def _mixed(view: PlanView) -> Iterator[tuple[GroupView, MixedStep]]:
    for group in view.groups:
        point = group.group.operating_point
        if isinstance(point, MixedStep):
            yield group, point


MIXED_RULES = (mixed_share, mixed_step, mixed_batch, mixed_wait, mixed_utilisation, mixed_kv)
