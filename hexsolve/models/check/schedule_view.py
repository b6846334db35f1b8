"""What the rules on schedules look at: calls in ticks, and what they take, worked out plainly."""

import math
from collections.abc import Sequence
from functools import cached_property

from hexsolve.models.check.prefix_pieces import PrefixPieces
from hexsolve.models.schedule import Schedule, ScheduledCall
from hexsolve.models.simulation.cluster import SimulatedCluster, SimulatedInstance
from hexsolve.models.workflow import Call, Workflow

PICO = 1e12
_SLACK = 1e-6


class ScheduleView:
    """A schedule beside its instance; durations in ticks as fractions, rounded by the rules."""

    def __init__(
        self, cluster: SimulatedCluster, workflows: Sequence[Workflow], schedule: Schedule
    ) -> None:
        self.cluster = cluster
        self.workflows = workflows
        self.schedule = schedule
        self.grid = schedule.times.grid_s
        self.optimistic = schedule.times.mode == "optimistic"
        self.instances = {spec.name: spec for spec in cluster.instances}
        self.rows: dict[tuple[int, int], ScheduledCall] = {}
        for row in schedule.calls:
            if row.workflow < len(workflows) and row.call < len(workflows[row.workflow].calls):
                self.rows.setdefault((row.workflow, row.call), row)

    @cached_property
    def pieces(self) -> list[PrefixPieces]:
        """Shared tokens of each workflow's calls."""
        caching = self.cluster.prefix_caching
        return [PrefixPieces(workflow, caching) for workflow in self.workflows]

    def call(self, row: ScheduledCall) -> Call:
        """Return the call that a row schedules."""
        return self.workflows[row.workflow].calls[row.call]

    def ids(self, row: ScheduledCall) -> dict[str, str]:
        """Name a row in a violation."""
        return {"workflow": self.workflows[row.workflow].name, "call": str(row.call)}

    def slots(self, spec: SimulatedInstance) -> int:
        """Return how many calls a decode instance admits."""
        if self.optimistic:
            return spec.max_batch
        return min(spec.max_batch, self.schedule.times.decode_batch)

    def needed(self, seconds: float) -> int:
        """Return the ticks that `seconds` need: rounded up, or down if optimistic."""
        ticks = seconds / self.grid
        return math.floor(ticks - _SLACK) if self.optimistic else math.ceil(ticks - _SLACK)

    # ------------------------------------------------------------------ tokens

    def sources(self, row: ScheduledCall) -> tuple[int, int]:
        """Return the two calls whose prompt this one may find cached; −1 for none.

        The ancestor that shares most (of equal ones the last), and, if that shares more, the
        earlier call beside it that does (of equal ones the first).
        """
        pieces = self.pieces[row.workflow]
        root = pieces.root(row.call)
        above, most = -1, root
        for other in sorted(pieces.ancestors[row.call]):
            if (shared := pieces.prefilled(row.call, other)) >= most and shared > root:
                above, most = other, shared
        beside = -1
        for other in range(row.call):
            if other not in pieces.ancestors[row.call]:
                shared = pieces.prefilled(row.call, other)
                if shared > most:
                    beside, most = other, shared
        return above, beside

    def root(self, row: ScheduledCall) -> int:
        """Return the prompt tokens of root text, which is taken to be cached everywhere."""
        return min(self.pieces[row.workflow].root(row.call), self.call(row).prompt_tokens - 1)

    def most_cached(self, row: ScheduledCall) -> int:
        """Return the most prompt tokens that a prefill instance can have cached."""
        pieces = self.pieces[row.workflow]
        return max(
            [
                self.root(row),
                *(
                    pieces.prefilled(row.call, other)
                    for other in range(len(pieces.calls))
                    if row.call not in pieces.ancestors[other] and other != row.call
                ),
            ]
        )

    def most_shared(self, row: ScheduledCall) -> int:
        """Return the most prompt tokens that another call has at a decode instance."""
        pieces = self.pieces[row.workflow]
        others = [o for o in range(len(pieces.calls)) if o != row.call]
        shared = max([self.root(row), *(pieces.common(row.call, other) for other in others)])
        return min(shared, self.call(row).prompt_tokens)

    def prefill_kv(self, row: ScheduledCall) -> int:
        """Return what a call holds at its prefill instance, tokens."""
        return 0 if self.optimistic else self.call(row).prompt_tokens

    def decode_kv(self, row: ScheduledCall) -> int:
        """Return what a call holds at its decode instance, tokens."""
        call = self.call(row)
        if self.optimistic:
            return call.prompt_tokens - self.most_shared(row)
        return call.prompt_tokens + call.output_tokens - 1

    # ------------------------------------------------------------------ seconds

    def prefill_seconds(self, row: ScheduledCall) -> float:
        """Return the time of a prefill batch of this call alone, s."""
        c = self.instances[row.prefill].performance.prefill
        cached, prompt = row.cached_tokens, self.call(row).prompt_tokens
        new = prompt - cached
        pairs = (prompt**2 - cached**2) / 2.0
        ramp = c.p4 * (1.0 - math.exp(-new / c.scale))
        beyond = c.p3 * (new - c.knee) if new > c.knee else 0.0
        return max(c.floor, c.p0 + ramp + c.p1 * new + c.p2 * pairs + beyond)

    def occupied_seconds(self, row: ScheduledCall) -> float:
        """Return how long a call keeps its prefill instance from others at least, s.

        Optimistic: its share of a full batch. With F(T) = p0 + p4·(1 − exp(−T/scale)), concave,
        ``F(T) ≥ T/budget · F(budget)`` up to the budget; p3 beyond the knee is convex.
        """
        spec = self.instances[row.prefill]
        c, cached, prompt = (
            spec.performance.prefill,
            row.cached_tokens,
            self.call(row).prompt_tokens,
        )
        new = prompt - cached
        seconds = self.prefill_seconds(row)
        if self.optimistic and spec.max_batch > 1 and new <= spec.token_budget:
            full = c.p0 + c.p4 * (1.0 - math.exp(-spec.token_budget / c.scale))
            pairs = (prompt**2 - cached**2) / 2.0
            beyond = c.p3 * (new - c.knee) if new > c.knee else 0.0
            share = full * new / spec.token_budget + c.p1 * new + c.p2 * pairs + beyond
            seconds = min(seconds, share)
        return seconds / spec.performance.pp

    def transfer_seconds(self, row: ScheduledCall, target: str) -> float:
        """Return the time of the KV transfer to `target` alone on its link, s."""
        source, sink = self.instances[row.prefill], self.instances[target]
        tokens = self.call(row).prompt_tokens
        if self.optimistic:
            tokens -= self.most_shared(row)
        speed = min(round(source.nic_bandwidth), round(sink.nic_bandwidth))
        # Instances of one LLM agree in this; otherwise the one to be safe from counts.
        sizes = {
            round(spec.performance.kv_bytes_per_token)
            for spec in self.cluster.instances
            if spec.role == "prefill"
        }
        size = tokens * (min(sizes) if self.optimistic else max(sizes))
        return self.cluster.transfer_latency_s + size / speed

    def decode_seconds(self, row: ScheduledCall, target: str) -> float:
        """Return the time of all decode steps in a batch of equal calls, step by step, s."""
        c = self.instances[target].performance.decode
        batch = 1 if self.optimistic else self.schedule.times.decode_batch
        touched = c.d3 * (1.0 - (1.0 - c.active_share) ** batch)
        # The simulator rounds both terms to whole picoseconds.
        fixed = max(1, round((c.d0 + c.d1 * batch + touched) * PICO))
        per_token = round(c.d2 * PICO)
        call = self.call(row)
        ticks = 0
        for step in range(call.output_tokens - 1):
            ticks += fixed + per_token * batch * (call.prompt_tokens + step)
        return ticks / PICO
