"""Rules on who serves which calls, and on what every call is promised."""

from collections.abc import Iterator

from hexsolve.models.check.seconds import first_token_seconds, output_token_seconds
from hexsolve.models.check.transfer import bandwidth, kv_bytes
from hexsolve.models.check.view import PlanView
from hexsolve.models.check.violation import Violation, at_most, equal
from hexsolve.models.plan import DecodeStep


def demand(view: PlanView) -> Iterator[Violation]:
    """Require that all calls are prefilled and all are decoded: flows = θ · r in each phase."""
    for workflow, call, demanded in view.demanded():
        for phase in ("prefill", "decode"):
            servings = view.servings(workflow.name, call.name, phase, "mixed")
            served = sum(serving.calls_per_s for serving in servings)
            ids = {"workflow": workflow.name, "call": call.name}
            yield from equal("demand", served, demanded, "calls/s", ids, f"{phase} serves")


def call_fits(view: PlanView) -> Iterator[Violation]:
    """Require that a call's KV fits into the pool of whoever serves it."""
    for group in view.groups:
        capacity = group.engine.kv_capacity_tokens
        for serving in group.servings:
            call = serving.call
            tokens = call.new_tokens + call.cached_tokens
            if group.group.role != "prefill":
                tokens += call.output_tokens
            yield from at_most("call_fits", tokens, capacity, "tokens", serving.ids, "a call has")


def link(view: PlanView) -> Iterator[Violation]:
    """Require that KV sent or received stays within the allowed share of the network."""
    for group in view.groups:
        if group.group.role == "mixed":
            continue
        used = sum(s.calls_per_s * kv_bytes(view.problem, s.call) for s in group.servings)
        each = bandwidth(view.problem, group.engine)
        share = view.problem.assumptions.link_utilisation_max
        limit = share * each * group.group.count
        yield from at_most("link", used, limit, "bytes/s", group.ids, "the network carries")


def siblings(view: PlanView) -> Iterator[Violation]:
    """Require that no instance gets more of a burst than its operating point takes in.

    Split at random, an instance gets the share of the siblings that it serves of their class.
    """
    for group in view.groups:
        point = group.group.operating_point
        if isinstance(point, DecodeStep):
            continue
        for serving in group.servings:
            call = serving.call
            if call.parallel > 1.0:
                rate = view.plan.load * serving.workflow.rate_per_s * call.repeat * call.parallel
                each = serving.calls_per_s / group.group.count
                what = "an instance serves"
                yield from at_most(
                    "siblings", each, point.burst_share * rate, "calls/s", serving.ids, what
                )


def ttft(view: PlanView) -> Iterator[Violation]:
    """Require the time to first token within its limit wherever a class's calls go."""
    for group in view.groups:
        for serving in group.servings:
            limit = serving.workflow.ttft_limit_s
            if limit is not None and group.group.role != "decode":
                seconds = first_token_seconds(serving, view.problem)
                yield from at_most(
                    "ttft", seconds, limit, "s", serving.ids, "time to first token is"
                )


def tpot(view: PlanView) -> Iterator[Violation]:
    """Require the time per output token within its limit wherever a class's calls go."""
    for group in view.groups:
        for serving in group.servings:
            limit = serving.workflow.tpot_limit_s
            if limit is not None and group.group.role != "prefill":
                seconds = output_token_seconds(serving)
                yield from at_most(
                    "tpot", seconds, limit, "s", serving.ids, "time per output token is"
                )


TRAFFIC_RULES = (demand, call_fits, siblings, link, ttft, tpot)
