"""Rules on the head that all answers share."""

from collections.abc import Iterator, Mapping

from hexsolve.models.check.violation import TOLERANCE, Violation, equal, names
from hexsolve.models.proven import ProvenAnswer
from hexsolve.models.status import OPTIMALITY_TOLERANCE, Limit, Status


def same_instance(answer: ProvenAnswer, right: str, name: str) -> Iterator[Violation]:
    """Require that the answer is to the instance `name`, whose hash is `right`."""
    if answer.instance_hash != right:
        yield names(
            "instance",
            {"instance": answer.instance_name},
            f"the {answer.kind} is of another instance, or of another version of it: SHA-256 "
            f"{answer.instance_hash[:12]}…, but that of {name} is {right[:12]}…",
        )


def honest_status(answer: ProvenAnswer, parts: Mapping[str, bool]) -> Iterator[Violation]:
    """Require the parts of a solution where the status says so, and a closed gap for `optimal`.

    Parameters
    ----------
    answer : ProvenAnswer
    parts : mapping of str to bool
        Field → whether it is there.
    """
    found = answer.status in (Status.OPTIMAL, Status.FEASIBLE)
    for field, there in (*parts.items(), ("objective", answer.objective is not None)):
        if there != found:
            word = "there" if there else "missing"
            yield names("status", {"field": field}, f"{word}, with status {answer.status.value!r}")
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


def named_limit(answer: ProvenAnswer) -> Iterator[Violation]:
    """Require what the search stopped at where a gap is left."""
    found = answer.status is Status.FEASIBLE and answer.objective is not None
    if found and answer.limit is Limit.NONE:
        yield names("limit", {"field": "limit"}, "'none', with status 'feasible'")


def unbeaten_bound(answer: ProvenAnswer, maximised: bool, unit: str) -> Iterator[Violation]:
    """Require a bound that the objective does not beat: above what is maximised, else below."""
    if answer.objective is None or answer.bound is None:
        return
    sign = -1.0 if maximised else 1.0
    if sign * (answer.bound - answer.objective) > TOLERANCE * abs(answer.objective):
        yield Violation(
            rule="bound",
            ids={"field": "bound"},
            amount=answer.bound,
            limit=answer.objective,
            unit=unit,
            message=f"bound {answer.bound:.9g} is {'less' if maximised else 'more'} than the "
            f"objective {answer.objective:.9g} that was reached",
        )


def right_gap(answer: ProvenAnswer) -> Iterator[Violation]:
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


def _gap(reached: float, proven: float) -> float:
    # Written down once more: the checker shares no arithmetic with the solvers.
    return abs(reached - proven) / max(abs(reached), 1e-9)
