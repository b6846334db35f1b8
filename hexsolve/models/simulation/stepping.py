"""A batch of decoding calls that jumps over the steps between two events."""

from mypy_extensions import mypyc_attr

from hexsolve.models.latency import DecodeCoefficients, MixedCoefficients
from hexsolve.models.simulation.calls import RUNNING, RevealedCall
from hexsolve.models.simulation.clock import StepClock, product, span, steps_begun
from hexsolve.models.simulation.cluster import SimulatedInstance
from hexsolve.models.simulation.events import Event, pop, push
from hexsolve.models.simulation.pool import KVPool


@mypyc_attr(allow_interpreted_subclasses=True)
class Run:
    """A call's stay in a decode batch, in the batch's step count."""

    __slots__ = ("call", "joined", "promise_end", "running")

    def __init__(self, call: RevealedCall, joined: int) -> None:
        self.call = call
        self.joined = joined
        self.promise_end = joined + call.promise if call.promise else -1
        self.running = True


@mypyc_attr(acyclic=True)
class RunEnd(Event):
    """The end of a run, or of what it was promised, at a step of its batch (not at a time)."""

    __slots__ = ("run",)

    def __init__(self, step: int, run: Run) -> None:
        super().__init__(step, 0, run.call.number, run.joined)
        self.run = run


@mypyc_attr(allow_interpreted_subclasses=True)
class SteppingInstance:
    """What decode and mixed instances share.

    The batch counts its steps. A call that joins at step n with r tokens to come ends at step
    n + r whatever else happens, so the earliest end is the top of a heap that neither joins nor
    other ends disturb, and between two events the batch is constant: `planned` steps, the first
    of `first` ticks, each `growth` ticks longer than the one before, began at `since`.
    """

    __slots__ = (
        "_promise_runs",
        "_promise_sum",
        "admitted",
        "batch",
        "begun",
        "bound",
        "bound_tokens",
        "busy",
        "clock",
        "context",
        "ends",
        "finished_steps",
        "first",
        "growth",
        "kv_ticks",
        "max_batch",
        "number",
        "pending_output",
        "planned",
        "pool",
        "promise_ends",
        "promise_waiting",
        "runs",
        "since",
        "spec",
        "step_tokens",
        "stepping",
        "steps",
        "up",
        "version",
    )

    def __init__(
        self,
        number: int,
        spec: SimulatedInstance,
        pool: KVPool,
        coefficients: DecodeCoefficients | MixedCoefficients,
    ) -> None:
        self.number = number
        self.spec = spec
        self.max_batch = spec.max_batch
        self.pool = pool
        self.clock = StepClock(coefficients)
        self.up = True
        self.busy = self.kv_ticks = self.step_tokens = self.finished_steps = 0
        self.version = 0
        self._reset()

    def _reset(self) -> None:
        self.runs: dict[int, Run] = {}
        self.ends: list[RunEnd] = []
        self.promise_ends: list[RunEnd] = []
        self._promise_sum = self._promise_runs = 0
        self.promise_waiting = 0
        self.admitted = self.batch = self.context = self.steps = 0
        self.pending_output = self.bound = self.bound_tokens = 0
        self.stepping = False
        self.since = self.first = self.growth = self.planned = self.begun = 0

    # ------------------------------------------------------------------ batch membership

    def bind(self, call: RevealedCall) -> None:
        """Count a call that was placed here."""
        self.bound += 1
        self.bound_tokens += call.length
        self.pending_output += call.expected_output

    def unbind(self, call: RevealedCall) -> None:
        """Forget a call that was placed here and does not decode yet."""
        self.bound -= 1
        self.bound_tokens -= call.length
        self.pending_output -= call.expected_output

    def join(self, call: RevealedCall, tokens_to_come: int) -> None:
        """Let `call`, whose path of ``call.length`` tokens is pinned, decode from now on."""
        run = Run(call, self.steps)
        call.stage = RUNNING
        self.runs[call.number] = run
        self.batch += 1
        self.context += call.length
        self.bound_tokens -= call.length
        push(self.ends, RunEnd(self.steps + tokens_to_come, run))
        self.promise_waiting -= call.promise
        if run.promise_end >= 0:
            self._promise_sum += run.promise_end
            self._promise_runs += 1
            push(self.promise_ends, RunEnd(run.promise_end, run))

    def leave(self, run: Run) -> None:
        """Take a call out of the batch and release its KV."""
        call = run.call
        run.running = False
        del self.runs[call.number]
        done = self.steps - run.joined
        length = call.length + done
        call.emitted += done
        self.batch -= 1
        self.context -= length
        self.admitted -= 1
        self.bound -= 1
        self.pending_output -= call.expected_output
        if run.promise_end >= 0:
            self._promise_sum -= run.promise_end
            self._promise_runs -= 1
        self.pool.release(call.number, length)

    def promised(self) -> int:
        """Return the tokens still promised to admitted calls beyond what they pin."""
        steps = self.steps + self.begun
        ends = self.promise_ends
        while ends and ends[0].at <= steps:
            run = pop(ends).run
            if run.running:
                self._promise_sum -= run.promise_end
                self._promise_runs -= 1
                run.promise_end = -1
        return self.promise_waiting + self._promise_sum - steps * self._promise_runs

    def emitted(self, call: RevealedCall) -> int:
        """Return the tokens of `call` so far, those of finished steps of this jump included."""
        run = self.runs.get(call.number)
        if run is None:
            return call.emitted
        ended = self.steps - run.joined + max(0, self.begun - 1 if self.stepping else 0)
        return call.emitted + ended

    # ------------------------------------------------------------------ time

    def sync(self, now: int, again: bool) -> None:
        """Account for the steps begun by `now`; a step that begins at `now` counts if `again`."""
        if self.stepping:
            begun = steps_begun(self.first, self.growth, now - self.since, again)
            if begun > self.planned:
                begun = self.planned
            if begun > self.begun:
                self.pool.grow((begun - self.begun) * self.batch)
                self.begun = begun

    def step_end(self) -> int:
        """Return when the steps under way end, ticks."""
        return self.since + span(self.first, self.growth, self.planned)

    def next_boundary(self, now: int, again: bool) -> int:
        """Cut the jump at the next boundary.

        Returns when that is, or −1 if the steps under way end there anyway. A boundary at `now`
        is taken: the steps have ended.
        """
        return self._cut(steps_begun(self.first, self.growth, now - self.since, again), now)

    def pool_limit(self, now: int) -> int:
        """Cut the jump where the pool is full, after others took room; returns likewise."""
        room = self.pool.capacity - self.pool.pinned
        return self._cut(self.begun + room // self.batch, now)

    def _cut(self, steps: int, now: int) -> int:
        if steps >= self.planned:
            return -1
        self.planned = steps
        self.version += 1
        end = self.step_end()
        if end == now:
            self.end_steps()
        return end

    def end_steps(self) -> None:
        """Account for all planned steps; nobody leaves yet."""
        k, batch, pool = self.planned, self.batch, self.pool
        if k > self.begun:
            pool.grow((k - self.begun) * batch)
        ticks = span(self.first, self.growth, k)
        self.busy += ticks
        # Cache beyond the pool is evicted late: what is present never exceeds it.
        double_mean = min(2 * pool.used - k * batch, 2 * pool.capacity)
        self.kv_ticks += product(ticks, double_mean) // 2
        self.step_tokens += k * batch
        self.finished_steps += k
        self.steps += k
        self.context += k * batch
        self.begun = 0
        self.stepping = False

    def ended(self) -> list[Run]:
        """Return the runs that end at this boundary, by call number."""
        done = []
        ends = self.ends
        while ends and (ends[0].at <= self.steps or not ends[0].run.running):
            run = pop(ends).run
            if run.running:
                done.append(run)
        return done

    def plan_steps(self, now: int) -> int:
        """Plan steps until a call ends or the pool is full; return when, ticks."""
        ends, pool, batch = self.ends, self.pool, self.batch
        while not ends[0].run.running:
            pop(ends)
        k = ends[0].at - self.steps
        room = (pool.capacity - pool.pinned) // batch
        if room < k:
            k = room
        slope = self.clock.slope
        self.first = first = self.clock.base(batch) + slope * self.context
        self.growth = growth = slope * batch
        self.since = now
        self.planned = k
        self.begun = 0
        self.stepping = True
        self.version += 1
        return now + span(first, growth, k)

    def expect(self, outputs: list[int], cut: bool) -> int:
        """Let the running calls end after `outputs` tokens, but not before the step under way.

        Returns when the planned steps end if that changed, else −1. Steps begun must be known;
        `cut` says that somebody waits for the next boundary.
        """
        while not self.ends[0].run.running:
            pop(self.ends)
        first_end = self.ends[0].at - self.steps
        for run in self.runs.values():
            done = self.steps - run.joined
            to_come = outputs[run.call.number] - run.call.emitted
            outputs[run.call.number] += max(0, done + max(1, self.begun) - to_come)
        self.ends = []
        for number, run in self.runs.items():
            push(self.ends, RunEnd(run.joined + outputs[number] - run.call.emitted, run))
        room = (self.pool.capacity - self.pool.pinned) // self.batch
        steps = min(self.ends[0].at - self.steps, self.begun + room)
        if cut or self.planned < first_end:
            # Something else than an end has set the next boundary.
            steps = min(steps, self.planned)
        if not self.stepping or steps == self.planned:
            return -1
        self.planned = steps
        self.version += 1
        return self.step_end()

    def last_in_order(self) -> Run:
        """Return the running call to preempt first."""
        return max(
            self.runs.values(), key=lambda run: (run.call.decode_priority, run.call.sequence)
        )

    def lose(self, call: RevealedCall, now: int) -> None:
        """Keep what a call had emitted when the instance failed at `now`."""
        run = self.runs.pop(call.number, None)
        if run is None:
            return
        ended = 0
        if self.stepping:
            begun = steps_begun(self.first, self.growth, now - self.since, False)
            ended = min(begun, self.planned) - 1
        call.emitted += self.steps - run.joined + ended

    def _fail(self) -> None:
        self.pool.clear()
        self.version += 1
        self._reset()
        self.up = False
