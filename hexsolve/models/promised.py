"""What a plan promises phase by phase, in the terms in which a simulation is measured."""

from dataclasses import dataclass

from hexsolve.models.check.promises import call_latency, workflow_latency
from hexsolve.models.check.seconds import (
    batch_overhead,
    batch_share,
    chunked_prefill,
    decode_context,
    decode_steps,
    decode_stretch,
    first_token_seconds,
    output_token_seconds,
    prefill_alone,
    prefill_seconds,
    siblings_ahead,
)
from hexsolve.models.check.transfer import (
    bandwidth,
    busy_transfer_seconds,
    transfer_seconds_per_s,
)
from hexsolve.models.check.view import GroupView, PlanView, Serving, resolve
from hexsolve.models.plan import BatchCycle, DecodeStep, MixedStep, Plan, SingleCalls
from hexsolve.models.problem import PlanningProblem


@dataclass(frozen=True, slots=True)
class CallPhases:
    """Mean times of the calls of one class, s.

    Attributes
    ----------
    wait : float
        Reveal to the start of prefill (of the first chunk on a mixed engine).
    ttft : float
        Reveal to first token.
    transfer : float
        First token to KV at the decode instance; 0 on a mixed engine.
    tpot : float
        Time per output token after the first, transfer included: (end − first token)/(o − 1).
    step : float
        The same without the transfer.
    latency : float
        Reveal to end.
    """

    wait: float
    ttft: float
    transfer: float
    tpot: float
    step: float
    latency: float


@dataclass(frozen=True, slots=True)
class GroupUse:
    """Time averages over the instances of a group.

    Attributes
    ----------
    busy : float or None
        Share of time at work; None where the planning model says nothing.
    batch : float or None
        Calls that decode at once; None for prefill.
    kv : float
        Share of the KV pool that calls at work hold, cached prefixes for later calls apart.
    """

    busy: float | None
    batch: float | None
    kv: float


def promised_calls(problem: PlanningProblem, plan: Plan) -> dict[tuple[str, str], CallPhases]:
    """Return the promise for each (workflow class, call class)."""
    view = resolve(problem, plan)
    promises = {}
    for workflow, call, rate in view.demanded():
        entries = view.servings(workflow.name, call.name, "prefill", "mixed")
        decodes = view.servings(workflow.name, call.name, "decode", "mixed")
        wait = sum(s.calls_per_s * _wait(s, problem) for s in entries) / rate
        ttft = sum(s.calls_per_s * first_token_seconds(s, problem) for s in entries) / rate
        step = sum(s.calls_per_s * output_token_seconds(s) for s in decodes) / rate
        steps = decode_steps(call)
        if steps:
            step += sum(s.calls_per_s * decode_stretch(s, problem) for s in decodes) / rate / steps
        transfer = transfer_seconds_per_s(view, workflow.name, call) / rate
        promises[workflow.name, call.name] = CallPhases(
            wait=wait,
            ttft=ttft,
            transfer=transfer,
            tpot=step + (transfer / steps if steps else 0.0),
            step=step,
            latency=call_latency(view, workflow, call),
        )
    return promises


def promised_workflows(problem: PlanningProblem, plan: Plan) -> dict[str, float]:
    """Return the mean latency that the plan's flows and points give each workflow class, s."""
    view = resolve(problem, plan)
    return {flow.name: workflow_latency(view, flow) for flow in problem.workload.classes}


def promised_groups(problem: PlanningProblem, plan: Plan) -> list[GroupUse]:
    """Return the planned use of each group, in the plan's order (Little's law)."""
    view = resolve(problem, plan)
    return [_use(view, group) for group in view.groups]


def _wait(serving: Serving, problem: PlanningProblem) -> float:
    match serving.group.operating_point:
        case SingleCalls() as point:
            return point.wait_s + siblings_ahead(serving, problem)
        case BatchCycle() as point:
            # The rest of the batch in flight; the call's own batch counts as its prefill.
            return problem.workload.burstiness * point.cycle_s / 2.0 + point.wait_s
        case MixedStep() as point:
            ahead = siblings_ahead(serving, problem)
            return point.wait_s + point.decode_step_s / 2.0 + ahead
    raise ValueError(f"{serving.group.role} groups prefill nothing")


def _use(view: PlanView, group: GroupView) -> GroupUse:
    given, point, count = view.problem.assumptions, group.group.operating_point, group.group.count
    busy: float | None = None
    batch: float | None = None
    if isinstance(point, DecodeStep | MixedStep):
        batch = sum(
            s.calls_per_s * decode_steps(s.call) * output_token_seconds(s) for s in group.servings
        )
        held = sum(
            s.calls_per_s * decode_steps(s.call) * output_token_seconds(s) * decode_context(s.call)
            for s in group.servings
        )
        if isinstance(point, MixedStep):
            held += sum(
                s.calls_per_s * chunked_prefill(s, given) * decode_context(s.call)
                for s in group.servings
            )
    else:
        pp = group.group.pp
        if isinstance(point, SingleCalls):
            busy = sum(s.calls_per_s * prefill_alone(s.engine, s.call) / pp for s in group.servings)
        else:
            assert isinstance(point, BatchCycle)
            busy = batch_overhead(group.engine) * count / point.cycle_s + sum(
                s.calls_per_s * batch_share(s.engine, s.call, given.prefill_token_budget) / pp
                for s in group.servings
            )
        link = bandwidth(view.problem, group.engine)
        held = sum(
            s.calls_per_s
            * (prefill_seconds(s, view.problem) + busy_transfer_seconds(view.problem, s.call, link))
            * (s.call.new_tokens + s.call.cached_tokens)
            for s in group.servings
        )
    return GroupUse(
        busy=None if busy is None else busy / count,
        batch=None if batch is None else batch / count,
        kv=held / count / group.engine.kv_capacity_tokens,
    )
