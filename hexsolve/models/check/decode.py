"""Rules on groups in the role `decode`."""

from collections.abc import Iterator

from hexsolve.models.check.seconds import decode_context, decode_steps, linear_step
from hexsolve.models.check.view import GroupView, PlanView
from hexsolve.models.check.violation import Violation, at_most
from hexsolve.models.plan import DecodeStep


def decode_step(view: PlanView) -> Iterator[Violation]:
    """Require that a step over the batch that Little's law gives is as short as promised."""
    for group, step in _decoding(view):
        c0, c1, c2 = linear_step(group)
        count = group.group.count
        seconds = c0 * count
        for serving in group.servings:
            sequences = step * serving.calls_per_s * decode_steps(serving.call)
            seconds += sequences * (c1 + c2 * decode_context(serving.call))
        yield from at_most(
            "decode_step", seconds, step * count, "s", group.ids, "steps of all instances take"
        )


def decode_batch(view: PlanView) -> Iterator[Violation]:
    """Require no more sequences in flight than the engines take at once."""
    for group, step in _decoding(view):
        sequences = step * sum(s.calls_per_s * decode_steps(s.call) for s in group.servings)
        limit = view.problem.assumptions.max_batch * group.group.count
        yield from at_most("decode_batch", sequences, limit, "sequences", group.ids, "in flight")


def decode_kv(view: PlanView) -> Iterator[Violation]:
    """Require that the contexts in flight fit into the KV pools."""
    for group, step in _decoding(view):
        tokens = step * sum(
            s.calls_per_s * decode_steps(s.call) * decode_context(s.call) for s in group.servings
        )
        capacity = group.engine.kv_capacity_tokens * group.group.count
        limit = view.problem.assumptions.kv_fill_max * capacity
        yield from at_most("decode_kv", tokens, limit, "tokens", group.ids, "KV pools hold")


def _decoding(view: PlanView) -> Iterator[tuple[GroupView, float]]:
    for group in view.groups:
        point = group.group.operating_point
        if isinstance(point, DecodeStep):
            yield group, point.step_s


DECODE_RULES = (decode_step, decode_batch, decode_kv)
