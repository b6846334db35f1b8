"""Rules on an answer: it is of this instance, and its figures agree with its plan."""

from collections import Counter
from collections.abc import Iterator

from hexsolve.models.answer import Answer, problem_hash
from hexsolve.models.check.plan import check_plan
from hexsolve.models.check.violation import TOLERANCE, Violation, equal, names
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.status import OPTIMALITY_TOLERANCE, Status

_UNITS = {"load": "", "cost": "US$/h", "slo": ""}


def instance(problem: PlanningProblem, answer: Answer) -> Iterator[Violation]:
    """Require that the answer is of this instance: equal hashes."""
    right = problem_hash(problem)
    if answer.instance_hash != right:
        yield names(
            "instance",
            {"instance": answer.instance_name},
            f"the answer is to another instance, or to another version of it: SHA-256 "
            f"{answer.instance_hash[:12]}…, but that of {problem.name!r} is {right[:12]}…",
        )


def status(_problem: PlanningProblem, answer: Answer) -> Iterator[Violation]:
    """Require a plan where the status says so, and a closed gap for `optimal`."""
    found = answer.status in (Status.OPTIMAL, Status.FEASIBLE)
    for field, value in (("plan", answer.plan), ("objective", answer.objective)):
        if (value is not None) != found:
            there = "missing" if found else "there"
            yield names("status", {"field": field}, f"{there}, with status {answer.status.value!r}")
    if answer.status is Status.OPTIMAL and answer.objective is not None:
        if answer.bound is None:
            yield names("status", {"field": "bound"}, "missing, with status 'optimal'")
        else:
            gap = _gap(answer.objective, answer.bound)
            if gap > OPTIMALITY_TOLERANCE:
                yield Violation(
                    rule="status",
                    ids={"field": "status"},
                    amount=gap,
                    limit=OPTIMALITY_TOLERANCE,
                    message=f"'optimal' with a gap of {gap:.3g}; allowed: {OPTIMALITY_TOLERANCE:g}",
                )


def objective(_problem: PlanningProblem, answer: Answer) -> Iterator[Violation]:
    """Require the objective that the plan states."""
    if answer.objective is not None and answer.plan is not None:
        given = {
            "load": answer.plan.load,
            "cost": answer.plan.cost_per_hour,
            "slo": answer.plan.slo_scale,
        }[answer.objective_kind]
        unit = _UNITS[answer.objective_kind]
        ids = {"field": "objective"}
        yield from equal("objective", answer.objective, given, unit, ids, "stated is")


def bound(_problem: PlanningProblem, answer: Answer) -> Iterator[Violation]:
    """Require a bound that no plan beats: above a load, below a cost or an SLO scale."""
    if answer.objective is not None and answer.bound is not None:
        sign = -1.0 if answer.objective_kind == "load" else 1.0
        if sign * (answer.bound - answer.objective) > TOLERANCE * abs(answer.objective):
            side = "less" if sign < 0 else "more"
            yield Violation(
                rule="bound",
                ids={"field": "bound"},
                amount=answer.bound,
                limit=answer.objective,
                unit=_UNITS[answer.objective_kind],
                message=f"bound {answer.bound:.9g} is {side} than the objective "
                f"{answer.objective:.9g} that was reached",
            )


def gap(_problem: PlanningProblem, answer: Answer) -> Iterator[Violation]:
    """Require ``gap = |objective − bound| / max(|objective|, 1e-9)``; null where one is missing."""
    ids = {"field": "gap"}
    if answer.objective is None or answer.bound is None:
        if answer.gap is not None:
            yield names("gap", ids, "stated without an objective and a bound")
    elif answer.gap is None:
        yield names("gap", ids, "missing")
    else:
        right = _gap(answer.objective, answer.bound)
        # A gap is the difference of nearly equal numbers: below 0.1 % its last digits are noise.
        if abs(answer.gap - right) > TOLERANCE * max(right, 1e-3):
            yield from equal("gap", answer.gap, right, "", ids, "stated is")


def load(problem: PlanningProblem, answer: Answer) -> Iterator[Violation]:
    """Require the instance's load of a plan for least cost or least SLO scale."""
    if answer.plan is not None and answer.objective_kind != "load":
        yield from equal("load", answer.plan.load, problem.load, "", {}, "the plan's load is")


def summary(_problem: PlanningProblem, answer: Answer) -> Iterator[Violation]:
    """Require that cost and instance counts beside the plan are those of the plan."""
    groups = answer.plan.groups if answer.plan is not None else ()
    planned: Counter[str] = Counter()
    stated: Counter[str] = Counter()
    for counts, items in ((planned, groups), (stated, answer.instances)):
        for item in items:
            counts[f"{item.role} {item.gpu} tp{item.tp} pp{item.pp}"] += item.count
    for engine in sorted(planned | stated):
        ids = {"engine": engine, "field": "instances"}
        yield from equal("summary", stated[engine], planned[engine], "instances", ids, "stated are")
    ids = {"field": "cost_per_hour"}
    if answer.plan is None and answer.cost_per_hour is not None:
        yield names("summary", ids, "stated without a plan")
    elif answer.plan is not None and answer.cost_per_hour is None:
        yield names("summary", ids, "missing")
    elif answer.plan is not None and answer.cost_per_hour is not None:
        right = answer.plan.cost_per_hour
        yield from equal("summary", answer.cost_per_hour, right, "US$/h", ids, "stated is")


ANSWER_RULES = (instance, status, objective, bound, gap, load, summary)
"""The rules on an answer, one function each."""


def check_answer(problem: PlanningProblem, answer: Answer) -> list[Violation]:
    """Return every rule that an answer, or the plan in it, breaks.

    With the objective `slo` the SLO scale is what was minimised, so the instance's `slo_scale`
    is no limit.
    """
    violations = [violation for rule in ANSWER_RULES for violation in rule(problem, answer)]
    if answer.plan is not None:
        if answer.objective_kind == "slo":
            problem = problem.model_copy(update={"slo_scale": None})
        violations += check_plan(problem, answer.plan)
    return violations


def _gap(reached: float, proven: float) -> float:
    return abs(reached - proven) / max(abs(reached), 1e-9)
