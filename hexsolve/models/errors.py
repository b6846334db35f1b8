"""What can go wrong that is not a bug."""

from collections.abc import Iterable


class HexsolveError(Exception):
    """Base of all errors that hexsolve raises on purpose."""


class InputError(HexsolveError):
    """The user's input is wrong: one line that names place, field, value and what is allowed.

    Parameters
    ----------
    message : str
        What is wrong and what is allowed.
    source : str, optional
        The file (or other place) that holds the mistake.
    field : str, optional
        The field within it, dotted: ``workload.classes[0].rate_per_s``.
    """

    def __init__(self, message: str, *, source: str | None = None, field: str | None = None):
        self.message = " ".join(message.split())
        self.source = source
        self.field = field
        super().__init__(str(self))

    def __str__(self) -> str:
        place = ": ".join(part for part in (self.source, self.field) if part)
        return f"{place}: {self.message}" if place else self.message

    def at(self, source: str) -> "InputError":
        """Return the same error with its file named."""
        return InputError(self.message, source=source, field=self.field)


class UnsupportedError(HexsolveError):
    """A feature that the chosen solver or format does not offer; the message names the remedy."""


def allowed(names: Iterable[str], limit: int = 20) -> str:
    """Return ``a, b, c`` for an error message, shortened after `limit` names."""
    listed = list(names)
    tail = f", … ({len(listed)} in all)" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + tail
