"""What a rule says when a plan breaks it."""

import math
from collections.abc import Iterator

from pydantic import Field

from hexsolve.models.base import Record

TOLERANCE = 1e-6
"""A limit may be exceeded, or a stated figure be off, by this share of it."""

_ZERO = 1e-12


class Violation(Record):
    """One broken rule.

    `amount` and `limit` are null where the rule compares names rather than numbers.
    """

    rule: str = Field(description="name of the rule, as in docs/planning-model.md")
    ids: dict[str, str] = Field(
        description="what breaks it, by kind: group, workflow, call, gpu, engine, field"
    )
    amount: float | None = Field(default=None, description="what the plan gives, in `unit`")
    limit: float | None = Field(default=None, description="what is allowed, in `unit`")
    unit: str = ""
    message: str = Field(description="what is wrong; where, `ids` say")

    @property
    def place(self) -> str:
        """The ids in words: ``group 'a', workflow 'chat'``."""
        return ", ".join(f"{kind} {name!r}" for kind, name in self.ids.items())

    def __str__(self) -> str:
        return ": ".join(part for part in (self.rule, self.place, self.message) if part)


def at_most(
    rule: str, amount: float, limit: float, unit: str, ids: dict[str, str], what: str
) -> Iterator[Violation]:
    """Yield a violation unless ``amount ≤ limit`` within `TOLERANCE` (not a number: violated)."""
    if not amount <= limit + TOLERANCE * abs(limit) + _ZERO:
        allowed = f"allowed: at most {limit:.9g}"
        yield _numbers(rule, amount, limit, unit, ids, f"{what} {amount:.9g} {unit}; {allowed}")


def equal(
    rule: str, amount: float, limit: float, unit: str, ids: dict[str, str], what: str
) -> Iterator[Violation]:
    """Yield a violation unless ``amount = limit`` within `TOLERANCE` (not a number: violated)."""
    if not abs(amount - limit) <= TOLERANCE * abs(limit) + _ZERO:
        right = f"must be {limit:.9g}"
        yield _numbers(rule, amount, limit, unit, ids, f"{what} {amount:.9g} {unit}; {right}")


def names(rule: str, ids: dict[str, str], message: str) -> Violation:
    """Return a violation that compares names."""
    return Violation(rule=rule, ids=ids, message=message)


def _numbers(
    rule: str, amount: float, limit: float, unit: str, ids: dict[str, str], text: str
) -> Violation:
    return Violation(
        rule=rule,
        ids=ids,
        amount=amount if math.isfinite(amount) else None,
        limit=limit if math.isfinite(limit) else None,
        unit=unit,
        message=text,
    )
