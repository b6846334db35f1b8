"""How much a reader accepts."""

from dataclasses import dataclass

from hexsolve.models.errors import InputError


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a reader accepts before it refuses, so that no input exhausts memory or time.

    Attributes
    ----------
    text_bytes : int
        Uncompressed size of a file that is read line by line.
    unit_bytes : int
        Uncompressed size of one JSON document or one line, which must be held at once; parsed
        JSON takes up to 25 times its text.
    calls : int
        LLM calls in one trace.
    """

    text_bytes: int = 2**30
    unit_bytes: int = 48 * 2**20
    calls: int = 1_000_000

    def check_calls(self, calls: int, source: str) -> None:
        """Raise `InputError` when a trace holds more calls than allowed."""
        if calls > self.calls:
            raise InputError(
                f"holds more than {self.calls:,} calls, the limit for one trace; split the file",
                source=source,
            )

    def check_edges(self, edges: int, source: str) -> None:
        """Raise `InputError` when one workflow holds more dependencies than ten per call."""
        if edges > 10 * self.calls:
            raise InputError(
                f"needs more than {10 * self.calls:,} dependencies, the limit for one trace",
                source=source,
            )


DEFAULT_LIMITS = Limits()
