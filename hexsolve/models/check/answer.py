"""Rules on an answer: it is of this instance, and its figures agree with its plan."""

from collections import Counter
from collections.abc import Iterator

from hexsolve.models.answer import Answer, problem_hash
from hexsolve.models.check.plan import check_plan
from hexsolve.models.check.proven import (
    honest_status,
    named_limit,
    right_gap,
    same_instance,
    unbeaten_bound,
)
from hexsolve.models.check.violation import Violation, equal, names
from hexsolve.models.problem import PlanningProblem

_UNITS = {"load": "", "cost": "US$/h", "slo": ""}


def instance(problem: PlanningProblem, answer: Answer) -> Iterator[Violation]:
    """Require that the answer is of this instance: equal hashes."""
    return same_instance(answer, problem_hash(problem), repr(problem.name))


def status(_problem: PlanningProblem, answer: Answer) -> Iterator[Violation]:
    """Require a plan where the status says so, and a closed gap for `optimal`."""
    return honest_status(answer, {"plan": answer.plan is not None})


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
    return unbeaten_bound(answer, answer.objective_kind == "load", _UNITS[answer.objective_kind])


def gap(_problem: PlanningProblem, answer: Answer) -> Iterator[Violation]:
    """Require the relative gap between objective and bound."""
    return right_gap(answer)


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


def limit(_problem: PlanningProblem, answer: Answer) -> Iterator[Violation]:
    """Require what the search stopped at where a gap is left."""
    return named_limit(answer)


def headroom(_problem: PlanningProblem, answer: Answer) -> Iterator[Violation]:
    """Require a headroom that covers the plan's own load, and shares that sum to 1."""
    if answer.plan is not None and answer.load_headroom is not None:
        # An LP with tolerances of its own.
        least = answer.plan.load * (1.0 - LP_TOLERANCE)
        if not answer.load_headroom >= least:
            yield Violation(
                rule="headroom",
                ids={"field": "load_headroom"},
                amount=answer.load_headroom,
                limit=answer.plan.load,
                message=f"{answer.load_headroom:.9g} is less than the plan's load "
                f"{answer.plan.load:.9g}",
            )
    shares = answer.bottleneck_shares.values()
    if shares and not abs(sum(shares) - 1.0) <= SHARES_TOLERANCE:
        yield Violation(
            rule="headroom",
            ids={"field": "bottleneck_shares"},
            amount=sum(shares),
            limit=1.0,
            message=f"shares sum to {sum(shares):.6g}; must be 1",
        )


def extrapolated(problem: PlanningProblem, answer: Answer) -> Iterator[Violation]:
    """Require a note on every engine of the plan whose latencies were not measured."""
    origins = {(each.gpu, each.tp, each.pp): each.origin for each in problem.engines}
    for engine in sorted({(each.gpu, each.tp, each.pp) for each in answer.instances}):
        label = "{} on {} tp={} pp={}".format(problem.llm.name, *engine)
        noted = any(note.startswith(label + ":") for note in answer.extrapolated)
        if origins.get(engine) == "roofline" and not noted:
            ids = {"engine": label, "field": "extrapolated"}
            yield names("extrapolated", ids, "not measured, and not noted")


ANSWER_RULES = (
    instance, status, limit, objective, bound, gap, load, summary, headroom, extrapolated
)  # fmt: skip
"""The rules on an answer, one function each."""

LP_TOLERANCE = 1e-4
"""By this share the headroom, from an LP, may be below the load that the plan carries."""

SHARES_TOLERANCE = 0.01
"""By so much the sum of the shares may be off: small ones are left out."""

UNVERIFIED = (
    "bound",
    "bottleneck",
    "bottleneck_shares",
    "load_headroom",
    "scale_elasticity",
    "gains",
    "conflict",
    "changes",
    "extrapolated",
    "simulation",
)
"""Fields that only a solver or simulation could prove; rules look at their plausibility at most."""


def unverified(answer: Answer) -> tuple[str, ...]:
    """Return the fields that an answer fills in and that no rule proves."""
    return tuple(name for name in UNVERIFIED if getattr(answer, name) not in (None, "", (), {}))


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
