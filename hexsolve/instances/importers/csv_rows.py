"""Request logs as CSV: one row a request, each a workflow of one call."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

from hexsolve.instances.reading.fields import TOKEN_LIMIT, shown
from hexsolve.instances.reading.files import lines
from hexsolve.instances.reading.limits import Limits
from hexsolve.models.errors import InputError


def rows(
    path: Path, columns: tuple[str, ...], limits: Limits
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (place, the values of `columns`) for each row below the header.

    Column names compare without regard to case; further columns are ignored.

    Raises
    ------
    InputError
        A column is missing, a row is too short, or there are no rows.
    """
    source = str(path)
    reader = csv.reader(text for _, text in lines(path, limits))
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in columns if name.lower() not in header]
        if missing:
            raise InputError(
                f"header is {shown(','.join(header))}; column {missing[0]!r} is missing; allowed: "
                f"a header with {', '.join(columns)}",
                source=source,
            )
        picks = [header.index(name.lower()) for name in columns]
        longest = max(picks)
        count = 0
        for row in reader:
            count += 1
            place = f"{source}, row {count}"
            if len(row) <= longest:
                raise InputError(
                    f"has {len(row)} values; allowed: at least {longest + 1}", source=place
                )
            limits.check_calls(count, source)
            yield place, tuple([row[pick] for pick in picks])
        if not count:
            raise InputError("has a header but no rows; allowed: at least one", source=source)
    except csv.Error as error:
        raise InputError(f"is not valid CSV: {error}", source=source) from None


def tokens(text: str, place: str, column: str, least: int = 0) -> int:
    """Return a token count in least … `TOKEN_LIMIT`."""
    value = -1
    # Length first: int() of a very long digit string is slow and then refused anyway.
    if len(text) <= 20:
        try:
            value = int(text)
        except ValueError:
            value = -1
    if not least <= value <= TOKEN_LIMIT:
        raise InputError(
            f"is {shown(text)}; allowed: an integer {least}…{TOKEN_LIMIT}",
            source=place,
            field=column,
        )
    return value


def number(text: str, place: str, column: str) -> float:
    """Return a finite non-negative number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value < 1e10:
        raise InputError(
            f"is {shown(text)}; allowed: a number of seconds ≥ 0", source=place, field=column
        )
    return value


def in_order(previous: float, current: float, text: str, place: str, column: str) -> None:
    """Raise unless times do not decrease."""
    if current < previous:
        raise InputError(
            f"is {shown(text)}, earlier than the row before; allowed: times in order",
            source=place,
            field=column,
        )
