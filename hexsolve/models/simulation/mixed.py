"""A mixed instance: decode tokens and prompt chunks share each step, as in vLLM."""

from heapq import heappop, heappush

from mypy_extensions import mypyc_attr

from hexsolve.models.simulation.calls import PREFILLING, QUEUED, RevealedCall
from hexsolve.models.simulation.cluster import SimulatedInstance
from hexsolve.models.simulation.pool import KVPool
from hexsolve.models.simulation.prefill import Entry, expected_work
from hexsolve.models.simulation.stepping import SteppingInstance


@mypyc_attr(allow_interpreted_subclasses=True)
class MixedInstance(SteppingInstance):
    """State of a mixed instance; `filling` are admitted calls whose prompt is not done."""

    __slots__ = (
        "_arrivals",
        "chunks",
        "filling",
        "pending_tokens",
        "pending_work",
        "preempted",
        "promises",
        "queue",
    )

    def __init__(self, number: int, spec: SimulatedInstance, pool: KVPool, promises: bool) -> None:
        super().__init__(number, spec, pool, spec.performance.mixed)
        self.promises = promises
        self.queue: list[Entry] = []
        self.filling: list[RevealedCall] = []
        self.pending_tokens = self.pending_work = 0
        self.preempted: list[tuple[RevealedCall, bool]] = []
        self.chunks: list[tuple[RevealedCall, int]] = []
        self._arrivals = False

    def enqueue(self, call: RevealedCall) -> None:
        """Take `call` into the queue, or move it there after a change of priority."""
        call.stage = QUEUED
        call.ticket += 1
        length = call.length
        new = length - self.pool.match(call.number, length)
        call.expected_new = new if new else 1
        self.pending_tokens += call.expected_new
        self.pending_work += expected_work(call)
        self._arrivals = True
        heappush(self.queue, (call.priority, call.sequence, call.ticket, call))

    def dequeue(self, call: RevealedCall) -> None:
        """Forget a queued call."""
        call.ticket += 1
        self.pending_tokens -= call.expected_new
        self.pending_work -= expected_work(call)

    def expect(self, outputs: list[int], cut: bool) -> int:
        """Let the running calls end after `outputs` tokens; a step with chunks stays one step."""
        return super().expect(outputs, cut or bool(self.chunks) or self._arrivals)

    def start(self, now: int, again: bool) -> int:
        """Form the next step if there is a boundary; return when the steps end, or −1.

        Calls that had to leave stand in `preempted`.
        """
        self.preempted.clear()
        if self.stepping:
            if not self._arrivals:
                return -1
            end = self.next_boundary(now, again)
            if end != now:
                return end
        self._arrivals = False
        self._make_room()
        budget = self.spec.token_budget - self.batch
        tokens, double_work, early = self._chunk_admitted(budget)
        if not self.preempted and not early:
            more, work = self._admit(now, budget - tokens)
            tokens += more
            double_work += work
        if tokens:
            return self._plan_chunk_step(now, tokens, double_work)
        if not self.batch:
            return -1
        end = self.plan_steps(now)
        if (self.preempted or early) and self.planned > 1:
            # Whoever had to wait for this step only is looked at again after it.
            self.planned = 1
            end = self.step_end()
        return end

    def finish_chunks(self) -> list[RevealedCall]:
        """Account for the chunks of the step that ended; return the calls whose path is full."""
        filled = []
        for call, chunk in self.chunks:
            call.filled += chunk
            if call.filled == call.length:
                filled.append(call)
                self.filling.remove(call)
        self.chunks.clear()
        filled.sort(key=lambda call: call.number)
        return filled

    def leave_filled(self, call: RevealedCall) -> None:
        """Release a call that ends with its prefill."""
        self.admitted -= 1
        self.promise_waiting -= call.promise
        self.unbind(call)
        self.pool.release(call.number, call.length)

    def fail(self) -> None:
        """Lose everything; the engine takes care of the calls."""
        self._fail()
        self.queue.clear()
        self.filling.clear()
        self.chunks.clear()
        self.pending_tokens = self.pending_work = 0
        self._arrivals = False

    # ------------------------------------------------------------------ forming a step

    def _make_room(self) -> None:
        pool = self.pool
        while self.batch and pool.pinned + self.batch > pool.capacity:
            self._preempt_last()

    def _last(self) -> RevealedCall:
        calls = [run.call for run in self.runs.values()] + self.filling
        return max(calls, key=lambda call: (call.priority, call.sequence))

    def _preempt_last(self) -> None:
        call = self._last()
        alone = self.admitted == 1
        run = self.runs.get(call.number)
        if run is not None:
            self.leave(run)
        else:
            self.filling.remove(call)
            self.admitted -= 1
            self.promise_waiting -= call.promise
            self.unbind(call)
            self.pool.release(call.number, call.filled)
        self.preempted.append((call, alone))

    def _chunk_admitted(self, budget: int) -> tuple[int, int, bool]:
        pool = self.pool
        tokens = double_work = 0
        for call in sorted(self.filling, key=lambda call: (call.priority, call.sequence)):
            if tokens == budget:
                break
            if call not in self.filling:
                continue
            chunk = min(call.length - call.filled, budget - tokens)
            upto = call.filled + chunk
            while pool.pinned + self.batch + pool.unpinned(call.number, upto) > pool.capacity:
                if self._last() is call:
                    return tokens, double_work, True
                self._preempt_last()
            pool.hold(call.number, upto)
            call.computed += chunk
            self.chunks.append((call, chunk))
            tokens += chunk
            double_work += chunk * (2 * call.filled + chunk)
        return tokens, double_work, False

    def _admit(self, now: int, budget: int) -> tuple[int, int]:
        pool, queue = self.pool, self.queue
        tokens = double_work = 0
        while queue and tokens < budget and self.admitted < self.max_batch:
            _, _, ticket, call = queue[0]
            if ticket != call.ticket:
                heappop(queue)
                continue
            number, length = call.number, call.length
            cached = min(pool.match(number, length), length - 1)
            chunk = min(length - cached, budget - tokens)
            promise = 0
            room = pool.capacity - pool.pinned - self.batch
            if self.promises:
                left = call.predicted_output - call.emitted - 1
                promise = max(0, min(left, pool.capacity - length))
                room -= promise + self._promised_after_step()
                fits = pool.unpinned(number, length) <= room
            else:
                fits = pool.unpinned(number, cached + chunk) <= room
            if not fits:
                break
            heappop(queue)
            self.pending_tokens -= call.expected_new
            self.pending_work -= expected_work(call)
            self.admitted += 1
            self.filling.append(call)
            call.stage = PREFILLING
            call.promise = promise
            call.filled = cached
            call.cached += cached
            call.computed += chunk
            call.prefill_start = now
            self.promise_waiting += promise
            pool.hold(number, cached + chunk)
            self.chunks.append((call, chunk))
            tokens += chunk
            double_work += chunk * (2 * cached + chunk)
        return tokens, double_work

    def _promised_after_step(self) -> int:
        """Return what is promised once the running calls have their token of this step."""
        chunks = {call.number: chunk for call, chunk in self.chunks}
        unfilled = sum(
            call.length - call.filled - chunks.get(call.number, 0) for call in self.filling
        )
        # Each call that still has a promise gets one token of it; `promised` has dropped the rest.
        return self.promised() - self._promise_runs + unfilled

    def _plan_chunk_step(self, now: int, tokens: int, double_work: int) -> int:
        base = self.clock.chunk_base(self.batch, tokens, double_work)
        self.first = base + self.clock.slope * self.context
        self.growth = 0
        self.since = now
        self.planned = 1
        self.begun = 0
        self.stepping = True
        self.version += 1
        return now + self.first
