"""A decode instance: admission under promises, continuous batching, preemption."""

from heapq import heappop, heappush

from mypy_extensions import mypyc_attr

from hexsolve.models.simulation.calls import INBOUND, LANDED, TRANSFER, RevealedCall
from hexsolve.models.simulation.cluster import SimulatedInstance
from hexsolve.models.simulation.pool import KVPool
from hexsolve.models.simulation.prefill import Entry
from hexsolve.models.simulation.stepping import Run, SteppingInstance


@mypyc_attr(allow_interpreted_subclasses=True)
class DecodeInstance(SteppingInstance):
    """State of a decode instance."""

    __slots__ = ("inbound", "inbound_tokens", "landed", "promises")

    def __init__(self, number: int, spec: SimulatedInstance, pool: KVPool, promises: bool) -> None:
        super().__init__(number, spec, pool, spec.performance.decode)
        self.promises = promises
        self.inbound: list[Entry] = []
        self.inbound_tokens = 0
        self.landed: list[RevealedCall] = []

    def enqueue(self, call: RevealedCall) -> None:
        """Let a prefilled call wait for admission."""
        call.stage = INBOUND
        call.ticket += 1
        self.inbound_tokens += call.length
        heappush(self.inbound, (call.decode_priority, call.sequence, call.ticket, call))

    def dequeue(self, call: RevealedCall) -> None:
        """Forget a call that waits for admission."""
        call.ticket += 1
        self.inbound_tokens -= call.length

    def promise(self, call: RevealedCall) -> int:
        """Return the room to keep for what `call` is predicted to generate."""
        if not self.promises:
            return 0
        left = call.predicted_output - call.emitted
        room = self.pool.capacity - call.length
        if left > room:
            left = room
        return left if left > 0 else 0

    def admit(self, now: int, again: bool) -> list[tuple[RevealedCall, int]]:
        """Admit what fits, in order; return the calls with the tokens they lack here."""
        admitted: list[tuple[RevealedCall, int]] = []
        inbound, pool = self.inbound, self.pool
        self.sync(now, again)
        while inbound and self.admitted < self.max_batch:
            _, _, ticket, call = inbound[0]
            if ticket != call.ticket:
                heappop(inbound)
                continue
            number, length = call.number, call.length
            promise = self.promise(call)
            room = pool.capacity - pool.pinned - promise
            if self.promises:
                room -= self.promised()
            if length > room and pool.unpinned(number, length) > room:
                break
            heappop(inbound)
            self.inbound_tokens -= length
            self.admitted += 1
            call.promise = promise
            self.promise_waiting += promise
            missing = length - pool.hold(number, length)
            call.transferred += missing
            if not missing:
                # No flow begins that would do this.
                call.flow_micros = call.flow_picos = call.flow_rate = 0
                call.flow_since = now
            call.stage = TRANSFER
            admitted.append((call, missing))
        return admitted

    def land(self, call: RevealedCall) -> None:
        """Let a call whose KV is here join at the next boundary."""
        call.stage = LANDED
        self.landed.append(call)

    def overflows(self) -> bool:
        """Return whether one more token for every running call does not fit."""
        return self.batch > 0 and self.pool.pinned + self.batch > self.pool.capacity

    def withdraw(self, call: RevealedCall) -> None:
        """Give up a call in transfer: its source failed."""
        self.admitted -= 1
        self.promise_waiting -= call.promise
        self.unbind(call)
        self.pool.release(call.number, call.length)

    def preempt(self) -> tuple[Run, bool]:
        """Take out the last call in order; return it and whether it was alone here."""
        alone = self.admitted == 1
        run = self.last_in_order()
        self.leave(run)
        return run, alone

    def fail(self) -> None:
        """Lose everything; the engine takes care of the calls."""
        self._fail()
        self.inbound.clear()
        self.inbound_tokens = 0
        self.landed.clear()
