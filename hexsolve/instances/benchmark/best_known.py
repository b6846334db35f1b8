"""The best-known table of the stored benchmark: for each Req_q the best value and bound so far.

Two models (docs/optimum.md): ``nominal``, whose values are schedules with a certificate that
`hexsolve check` verifies, and ``simulator``, whose values are simulated runs and whose bounds hold
for every policy there. Value and bound each say where they come from; each is replaced only by a
better one.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from io import StringIO
from pathlib import Path
from typing import Literal, get_args

from hexsolve.models.errors import InputError, allowed
from hexsolve.models.schedule import PERCENT, ScheduleObjective
from hexsolve.models.status import OPTIMALITY_TOLERANCE

Model = Literal["nominal", "simulator"]
OPTIMISTIC = "optimistic"
"""First word of `Claim.how` of bounds that hold for the simulator but not for the nominal model."""

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """A value or bound with its provenance; `how` is what found it, `seconds` of wall-clock."""

    value: float
    how: str
    date: str
    solver: str
    machine: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BestKnown:
    """What is known of one Req_q of one instance in one model.

    Attributes
    ----------
    decode_batch : int or None
        Of the nominal model; both claims are about this one.
    value, bound : Claim or None
        Least Req_q that is reached, and largest that is proven to be needed.
    certificate : str
        File in ``certificates/`` that states the nominal value.
    """

    instance: str
    objective: str
    model: Model
    decode_batch: int | None = None
    value: Claim | None = None
    certificate: str = ""
    bound: Claim | None = None

    @property
    def key(self) -> Key:
        """What a row is about."""
        return self.instance, self.objective, self.model

    @property
    def proven(self) -> bool:
        """Whether the bound proves the value optimal."""
        if self.value is None or self.bound is None:
            return False
        return self.value.value - self.bound.value <= OPTIMALITY_TOLERANCE * self.value.value


def canonical(objective: str, workflows: int) -> ScheduleObjective:
    """Return the highest Req_q that is the same as this: as many workflows may miss α."""

    def spare(percent: int) -> int:
        return workflows - -(-percent * workflows // 100)

    wanted = spare(PERCENT[objective])
    return next(
        name for name in reversed(get_args(ScheduleObjective)) if spare(PERCENT[name]) == wanted
    )


def objectives_of(workflows: int) -> tuple[ScheduleObjective, ...]:
    """Return the Req_q that differ for so many workflows."""
    names: tuple[ScheduleObjective, ...] = get_args(ScheduleObjective)
    return tuple(name for name in names if canonical(name, workflows) == name)


def improved(old: BestKnown | None, new: BestKnown) -> BestKnown:
    """Return the better value and the better bound of two rows of one key.

    Of nominal rows with different decode batches, which are different models, the one with the
    smaller value is kept.

    Raises
    ------
    ValueError
        If the result's bound exceeds its value: one of the two is wrong.
    """
    if old is None:
        return _sound(new)
    if old.decode_batch != new.decode_batch:
        smaller = old.value is None or (new.value is not None and new.value.value < old.value.value)
        return _sound(new if smaller else old)
    value, certificate, bound = old.value, old.certificate, old.bound
    if new.value is not None and (value is None or new.value.value < value.value):
        value, certificate = new.value, new.certificate
    if new.bound is not None and (bound is None or new.bound.value > bound.value):
        bound = new.bound
    return _sound(BestKnown(*old.key, old.decode_batch, value, certificate, bound))  # type: ignore[arg-type]


def with_implied_bounds(rows: dict[Key, BestKnown]) -> dict[Key, BestKnown]:
    """Return the table where each bound is at least what other rows prove.

    Req_q grows with q, so a bound on a smaller q holds; and bounds of the simulator hold for
    nominal schedules, unless they come from the optimistic model (docs/optimum.md).
    """
    found = dict(rows)
    for key in sorted(rows, key=lambda each: (each[0], PERCENT[each[1]], each[2])):
        row = found[key]
        for other in objectives_up_to(row.objective):
            for model in ("nominal", "simulator"):
                there = found.get((row.instance, other, model))
                if there is None or there.bound is None or not _implies(there, row):
                    continue
                row = improved(row, replace(row, value=None, bound=there.bound))
        found[key] = row
    return found


def objectives_up_to(objective: str) -> tuple[str, ...]:
    """Return the Req_q of this q and of smaller ones."""
    return tuple(name for name in PERCENT if PERCENT[name] <= PERCENT[objective])


def _implies(there: BestKnown, row: BestKnown) -> bool:
    assert there.bound is not None
    if there.model == row.model:
        return there.decode_batch == row.decode_batch
    return there.model == "simulator" and not there.bound.how.startswith(OPTIMISTIC)


def _sound(row: BestKnown) -> BestKnown:
    value, bound = row.value, row.bound
    if value is not None and bound is not None and bound.value > value.value * (1.0 + 1e-9):
        raise ValueError(f"{row.key}: bound {bound.value!r} exceeds value {value.value!r}")
    return row


def table_path() -> Path:
    """Return the table that ships."""
    return Path(__file__).parent / "best_known.csv"


_CLAIM = tuple(field.name for field in fields(Claim))
COLUMNS = (
    "instance", "objective", "model", "decode_batch",
    *(f"value_{name}" if name != "value" else name for name in _CLAIM), "certificate",
    *(f"bound_{name}" if name != "value" else "bound" for name in _CLAIM),
)  # fmt: skip


def best_known(path: Path | None = None) -> dict[Key, BestKnown]:
    """Return the table by instance, objective and model; empty if there is no file.

    Raises
    ------
    InputError
        If the file is no such table.
    """
    path = path or table_path()
    if not path.exists():
        return {}
    found: dict[Key, BestKnown] = {}
    for number, row in enumerate(csv.DictReader(StringIO(path.read_text(encoding="utf-8"))), 2):
        try:
            if row["model"] not in get_args(Model) or row["objective"] not in PERCENT:
                what = f"allowed: {allowed(get_args(Model))}; {allowed(PERCENT)}"
                raise ValueError(f"has {row['model']!r} and {row['objective']!r}; {what}")
            made = BestKnown(
                row["instance"],
                row["objective"],
                row["model"],  # type: ignore[arg-type]
                int(row["decode_batch"]) if row["decode_batch"] else None,
                _claim(row, "value"),
                row["certificate"],
                _claim(row, "bound"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(str(error), source=str(path), field=f"line {number}") from None
        found[made.key] = made
    return found


def write_table(rows: Iterable[BestKnown], path: Path | None = None) -> None:
    """Write the table, sorted; the file is there in full or as before."""
    path = path or table_path()
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in sorted(rows, key=lambda each: each.key):
        batch = "" if row.decode_batch is None else row.decode_batch
        writer.writerow([*row.key, batch, *_cells(row.value), row.certificate, *_cells(row.bound)])
    partial = path.with_name(path.name + ".partial")
    partial.write_text(stream.getvalue(), encoding="utf-8")
    partial.replace(path)


def _claim(row: dict[str, str], kind: str) -> Claim | None:
    if not row[kind]:
        return None
    text = {name: row[f"{kind}_{name}"] for name in _CLAIM[1:]}
    return Claim(
        float(row[kind]),
        text["how"],
        text["date"],
        text["solver"],
        text["machine"],
        float(text["seconds"]),
    )


def _cells(claim: Claim | None) -> list[object]:
    if claim is None:
        return [""] * len(_CLAIM)
    return [
        repr(claim.value), claim.how, claim.date, claim.solver, claim.machine,
        f"{claim.seconds:.1f}",
    ]  # fmt: skip
