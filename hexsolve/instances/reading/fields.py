"""Typed access to untrusted JSON objects: every mistake names file, record, field and value."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from hexsolve.models.errors import InputError

TOKEN_LIMIT = 100_000_000
"""Most tokens one call may have; anything above is a damaged file."""

SECONDS_LIMIT = 1e10
"""Longest time span accepted, s (about 300 years)."""


class Fields:
    """A JSON object with the place it came from.

    Parameters
    ----------
    value : object
        What was parsed; anything but an object is refused.
    source : str
        File and line.
    place : str
        Dotted path inside that line, empty at the top.
    """

    __slots__ = ("_place", "data", "source")

    def __init__(self, value: object, source: str, place: str = ""):
        if not isinstance(value, dict):
            raise InputError(
                f"is {shown(value)}; allowed: a JSON object", source=source, field=place or None
            )
        self.data: dict[str, Any] = value
        self.source = source
        self._place = place

    def place(self, name: str) -> str:
        """Return the dotted path of a field."""
        return f"{self._place}.{name}" if self._place else name

    def error(self, name: str, allowed: str) -> InputError:
        """Return the error for a field with a wrong or missing value."""
        if name not in self.data:
            message = f"is missing; allowed: {allowed}"
        else:
            message = f"is {shown(self.data[name])}; allowed: {allowed}"
        return InputError(message, source=self.source, field=self.place(name))

    def tokens(self, name: str, least: int = 0) -> int:
        """Return an integer field in least … `TOKEN_LIMIT`."""
        value = self.data.get(name)
        if type(value) is int and least <= value <= TOKEN_LIMIT:
            return value
        raise self.error(name, f"an integer {least}…{TOKEN_LIMIT}")

    def seconds(self, name: str, default: float | None = None) -> float:
        """Return a number field in 0 … `SECONDS_LIMIT`; null or absent gives the default."""
        value: Any = self.data.get(name)
        if value is None and default is not None:
            return default
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and 0 <= value <= SECONDS_LIMIT:
            return float(value)
        raise self.error(name, f"a number of seconds 0…{SECONDS_LIMIT:g}")

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string field; null or absent gives the default."""
        value = self.data.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, str):
            return value
        raise self.error(name, "text")

    def items(self, name: str) -> list[Any]:
        """Return a list field."""
        value = self.data.get(name)
        if isinstance(value, list):
            return value
        raise self.error(name, "a list")

    def records(self, name: str) -> "Iterator[Fields]":
        """Yield the objects of a list, one at a time: the wrappers would outweigh the data."""
        for index, value in enumerate(self.items(name)):
            yield Fields(value, self.source, self.place(f"{name}[{index}]"))


def shown(value: object) -> str:
    """Return a value for an error message, shortened."""
    if isinstance(value, dict | list):
        kind = "an object" if isinstance(value, dict) else "a list"
        return f"{kind} of {len(value)} entries"
    # Slicing first: the repr of a huge integer or string must not be built in full.
    text = repr(value[:40]) if isinstance(value, str) else _number_text(value)
    return text if len(text) <= 44 else text[:40] + "…"


def _number_text(value: object) -> str:
    if isinstance(value, int) and abs(value) >= 10**40:
        return "an integer of more than 40 digits"
    return repr(value)


def timestamp(text: str, source: str, field: str) -> float:
    """Return an ISO 8601 time as seconds since 1970 (UTC where no zone is given).

    Fractions keep all their digits; `datetime` alone would cut them to microseconds.
    """
    whole, dot, rest = text.strip().partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789")) if dot else 0
    fraction, zone = rest[:digits], rest[digits:]
    try:
        if dot and (not fraction or len(fraction) > 12):
            raise ValueError("fraction")
        moment = datetime.fromisoformat(whole + zone)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp() + (float("0." + fraction) if fraction else 0.0)
    except (ValueError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise InputError(
            f"is {shown(text)}; allowed: an ISO 8601 time such as 2023-11-16 18:17:03.98",
            source=source,
            field=field,
        )
    return seconds
