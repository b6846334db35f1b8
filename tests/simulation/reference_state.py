"""Calls, pools and instances of the naive reference simulator."""

from dataclasses import dataclass, field

from hexsolve.models.simulation.cluster import SimulatedInstance

PICO = 10**12
Token = tuple[object, int]


def ticks(seconds: float) -> int:
    return round(seconds * PICO)


@dataclass
class RefCall:
    number: int
    workflow: int
    index: int
    prompt: int
    output: int
    text: list[Token]
    children: list[int]
    missing_parents: int
    tool: int
    predicted: int
    emitted: int = 0
    sequence: int = -1
    priority: float = 0.0
    decode_priority: float = 0.0
    prefill: int = -1
    decode: int = -1
    placed: int = 0
    forbidden: set[int] = field(default_factory=set)
    filled: int = 0
    cached: int = 0
    length: int = 0
    promise: int = 0
    steps: int = 0
    remaining_work: int = 0
    arrival_time: int | None = None
    log: dict[str, int] = field(default_factory=dict)
    preemptions: int = 0

    @property
    def known(self) -> int:
        return self.prompt + self.emitted

    def promise_left(self) -> int:
        return max(0, self.promise - self.steps)


class RefPool:
    """Tokens one by one: who holds each, and when it was last released."""

    def __init__(self, capacity: int, caching: bool) -> None:
        self.capacity = capacity
        self.caching = caching
        self.stamp_of: dict[Token, int] = {}
        self.holders: dict[Token, set[int]] = {}
        self.paths: dict[int, list[Token]] = {}
        self.clock = 0

    @property
    def pinned(self) -> int:
        return sum(1 for who in self.holders.values() if who)

    def match(self, text: list[Token]) -> int:
        length = 0
        while length < len(text) and text[length] in self.holders:
            length += 1
        return length

    def newly_pinned(self, text: list[Token], upto: int) -> int:
        return sum(1 for token in text[:upto] if not self.holders.get(token))

    def hold(self, call: RefCall, upto: int) -> None:
        path = self.paths.setdefault(call.number, [])
        for token in call.text[len(path) : upto]:
            path.append(token)
            self.holders.setdefault(token, set()).add(call.number)
            self.stamp_of.setdefault(token, 0)
        self._evict()

    def _evict(self) -> None:
        while len(self.holders) > self.capacity:
            loose = [token for token, who in self.holders.items() if not who]
            assert loose, "pinned tokens exceed the pool"
            victim = min(loose, key=lambda token: (self.stamp_of[token], -token[1]))
            del self.holders[victim], self.stamp_of[victim]

    def release(self, call: RefCall) -> None:
        self.clock += 1
        for token in self.paths.pop(call.number):
            self.stamp_of[token] = self.clock
            self.holders[token].discard(call.number)
            if not self.caching and not self.holders[token]:
                del self.holders[token], self.stamp_of[token]


@dataclass
class RefInstance:
    number: int
    spec: SimulatedInstance
    pool: RefPool
    queue: list[int] = field(default_factory=list)
    queue_changed: bool = False
    batches: list[tuple[int, list[int]]] = field(default_factory=list)
    free_at: int = 0
    admitted: list[int] = field(default_factory=list)
    landed: list[int] = field(default_factory=list)
    running: list[int] = field(default_factory=list)
    filling: list[int] = field(default_factory=list)
    chunks: dict[int, int] = field(default_factory=dict)
    step_end: int | None = None
    down: bool = False
