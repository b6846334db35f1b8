"""What one epoch's model is about: plain integers, so that it can cross a process boundary."""

from dataclasses import dataclass, field

MILLISECOND = 1e-3


@dataclass(frozen=True, slots=True)
class Option:
    """One pair that a call may use."""

    prefill: int
    decode: int
    prefill_ms: int
    """Time that the prefill instance is occupied."""
    after_ms: int
    """From the end of prefill to completion: transfer and decode at the projected pace."""
    toll_ms: int
    """Congestion: what the others on both instances lose."""


@dataclass(frozen=True, slots=True)
class WindowCall:
    """A call to place, by its row in the frontier."""

    row: int
    workflow: int
    elapsed_ms: int
    tokens: int
    """KV it will hold on the decode instance at most."""
    options: tuple[Option, ...]
    hint: int
    """Option of the greedy plan."""


@dataclass(frozen=True, slots=True)
class Window:
    """The calls that begin next, or are in most danger, in the order of the greedy plan.

    Attributes
    ----------
    calls : tuple of WindowCall
    free_ms : dict of int to int
        When each prefill row is free.
    room : dict of int to int
        Tokens that may be added to each decode column before the next epoch.
    horizon_ms : dict of int to int
        H_w per workflow index.
    floor_ms : dict of int to int
        Flow time that a workflow has at least because of calls outside the window.
    thresholds : tuple of float
        Ratios R at which the penalty's slope rises.
    """

    calls: tuple[WindowCall, ...]
    free_ms: dict[int, int]
    room: dict[int, int]
    horizon_ms: dict[int, int]
    floor_ms: dict[int, int]
    thresholds: tuple[float, ...]


@dataclass(slots=True)
class WindowAnswer:
    """What the solver found: the order and option of each call, best last."""

    status: str
    objective: float | None = None
    bound: float | None = None
    seconds: float = 0.0
    """Real time."""
    work_s: float | None = None
    """Deterministic time, scaled to about a second of a core; None = not known."""
    limit_s: float = 0.0
    """What the solver might have taken, s; real or deterministic."""
    incumbents: list[list[tuple[int, int, int]]] = field(default_factory=list)
    """Each a list of (row, prefill, decode) by start of prefill."""
