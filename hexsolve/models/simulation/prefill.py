"""A prefill instance: one queue, batches under a token budget, nothing in flight preempted."""

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush

from mypy_extensions import mypyc_attr

from hexsolve.models.simulation.calls import PREFILLING, QUEUED, RevealedCall
from hexsolve.models.simulation.clock import PrefillClock
from hexsolve.models.simulation.cluster import SimulatedInstance
from hexsolve.models.simulation.pool import KVPool

Entry = tuple[float, int, int, RevealedCall]


def expected_work(call: RevealedCall) -> int:
    """Return ``n(2h + n)`` of a queued call, with the cache as it was when it was queued."""
    new: int = call.expected_new
    return new * (2 * call.length - new)


@mypyc_attr(allow_interpreted_subclasses=True)
class PrefillInstance:
    """State of a prefill instance; the engine calls `enqueue`, `start` and `finish`."""

    __slots__ = (
        "batches",
        "busy",
        "clock",
        "free_at",
        "max_batch",
        "next_batch",
        "number",
        "pending_tokens",
        "pending_work",
        "pool",
        "pp",
        "queue",
        "queue_changed",
        "spec",
        "token_budget",
        "up",
    )

    def __init__(self, number: int, spec: SimulatedInstance, pool: KVPool) -> None:
        self.number = number
        self.spec = spec
        # Looked up once: a field of a validated model takes as long as the work around it.
        self.token_budget = spec.token_budget
        self.max_batch = spec.max_batch
        self.pp = spec.performance.pp
        self.clock = PrefillClock(spec.performance.prefill)
        self.pool = pool
        self.queue: list[Entry] = []
        self.queue_changed = False
        self.pending_tokens = self.pending_work = 0
        self.batches: dict[int, list[tuple[RevealedCall, int]]] = {}
        self.next_batch = 0
        self.free_at = 0
        self.busy = 0
        self.up = True

    def enqueue(self, call: RevealedCall) -> None:
        """Take `call` into the queue, or move it there after a change of priority."""
        call.stage = QUEUED
        call.ticket += 1
        length = call.length
        new = length - self.pool.match(call.number, length)
        call.expected_new = new if new else 1
        self.pending_tokens += call.expected_new
        self.pending_work += expected_work(call)
        self.queue_changed = True
        heappush(self.queue, (call.priority, call.sequence, call.ticket, call))

    def dequeue(self, call: RevealedCall) -> None:
        """Forget a queued call."""
        call.ticket += 1
        self.pending_tokens -= call.expected_new
        self.pending_work -= expected_work(call)

    def rank(self, priorities: Callable[[Sequence[RevealedCall]], Sequence[float]]) -> None:
        """Give the queued calls new priorities."""
        self.queue_changed = False
        calls = [call for _, _, ticket, call in self.queue if ticket == call.ticket]
        calls.sort(key=lambda call: call.sequence)
        for call, priority in zip(calls, priorities(tuple(calls)), strict=True):
            call.priority = priority
        self.queue = [(call.priority, call.sequence, call.ticket, call) for call in calls]
        heapify(self.queue)

    def start(self, now: int) -> tuple[int, int, int] | None:
        """Form a batch if idle; return (number of the batch, its ticks, ticks until free)."""
        queue = self.queue
        if self.free_at > now or not queue:
            return None
        pool = self.pool
        capacity = pool.capacity
        batch: list[tuple[RevealedCall, int]] = []
        tokens = double_work = 0
        while queue:
            _, _, ticket, call = queue[0]
            if ticket != call.ticket:
                heappop(queue)
                continue
            number, length = call.number, call.length
            present = pool.match(number, length)
            cached = present if present < length else length - 1
            new = length - cached
            if batch and (tokens + new > self.token_budget or len(batch) == self.max_batch):
                break
            if (
                pool.pinned + length > capacity
                and pool.pinned + pool.unpinned(number, length) > capacity
            ):
                break
            pool.hold(number, length)
            heappop(queue)
            tokens += new
            double_work += new * (2 * cached + new)
            self.pending_tokens -= call.expected_new
            self.pending_work -= expected_work(call)
            call.stage = PREFILLING
            call.cached += cached
            call.computed += new
            call.prefill_start = now
            batch.append((call, ticket))
        if not batch:
            return None
        self.queue_changed = True
        ticks = self.clock.ticks(tokens, double_work)
        for call, _ in batch:
            call.prefill_end = now + ticks
        occupied = -(-ticks // self.pp)
        self.busy += occupied
        self.free_at = now + occupied
        number = self.next_batch
        self.next_batch = number + 1
        self.batches[number] = batch
        return number, ticks, occupied

    def finish(self, number: int) -> list[RevealedCall]:
        """End a batch; return its calls that were not lost meanwhile."""
        return [call for call, ticket in self.batches.pop(number) if call.ticket == ticket]

    def fail(self) -> None:
        """Lose everything; the engine takes care of the calls."""
        self.pool.clear()
        self.queue.clear()
        self.batches.clear()
        self.pending_tokens = self.pending_work = 0
        self.free_at = 0
        self.up = False
