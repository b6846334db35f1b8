"""Where a policy sends a call."""

from mypy_extensions import mypyc_attr


@mypyc_attr(acyclic=True)
class Assignment:
    """Where a call goes, and its place in the queues there.

    Smaller priorities are served first; equal ones in the order in which calls were placed.
    `decode_priority` orders admission to decode and, backwards, preemption; None = `priority`.
    On a mixed instance `prefill` and `decode` are the same number.
    """

    __slots__ = ("decode", "decode_priority", "prefill", "priority")

    def __init__(
        self, prefill: int, decode: int, priority: float, decode_priority: float | None = None
    ) -> None:
        self.prefill = prefill
        self.decode = decode
        self.priority = priority
        self.decode_priority = priority if decode_priority is None else decode_priority
