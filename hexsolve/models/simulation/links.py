"""KV transfers that share the bandwidth of both ends."""

from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.clock import TICKS_PER_SECOND


class Links:
    """Flows from prefill to decode instances; work is in bytes · ticks/s, so that it stays whole.

    With a flows leaving p and b entering d a flow moves ``min(⌊out_p/a⌋, ⌊in_d/b⌋)`` bytes/s.
    """

    __slots__ = (
        "bandwidth",
        "bytes_per_token",
        "entering",
        "leaving",
        "received_bytes",
        "sent_bytes",
    )

    def __init__(self, bandwidth: list[int], bytes_per_token: list[int]) -> None:
        self.bandwidth = bandwidth
        self.bytes_per_token = bytes_per_token
        self.leaving: list[list[RevealedCall]] = [[] for _ in bandwidth]
        self.entering: list[list[RevealedCall]] = [[] for _ in bandwidth]
        self.sent_bytes = [0] * len(bandwidth)
        self.received_bytes = [0] * len(bandwidth)

    def begin(self, call: RevealedCall, tokens: int, now: int) -> list[tuple[int, int, int]]:
        """Start a flow; return (end, call, version) of every flow whose end is new."""
        source, target = call.prefill, call.decode
        size = tokens * self.bytes_per_token[source]
        self.sent_bytes[source] += size
        self.received_bytes[target] += size
        call.flow_work = size * TICKS_PER_SECOND
        call.flow_rate = 0
        call.flow_since = now
        leaving, entering = self.leaving[source], self.entering[target]
        leaving.append(call)
        entering.append(call)
        if len(leaving) == 1 and len(entering) == 1:
            rate = min(self.bandwidth[source], self.bandwidth[target])
            call.flow_rate = rate
            call.flow_version += 1
            return [(now - (-call.flow_work // rate), call.number, call.flow_version)]
        return self._share(source, target, now)

    def end(self, call: RevealedCall, now: int) -> list[tuple[int, int, int]]:
        """Stop a flow, finished or not; return the new ends of others."""
        source, target = call.prefill, call.decode
        call.flow_version += 1
        leaving, entering = self.leaving[source], self.entering[target]
        leaving.remove(call)
        entering.remove(call)
        if not leaving and not entering:
            return []
        return self._share(source, target, now)

    def _share(self, source: int, target: int, now: int) -> list[tuple[int, int, int]]:
        changed = []
        bandwidth = self.bandwidth
        flows = self.leaving[source] + [c for c in self.entering[target] if c.prefill != source]
        for call in flows:
            p, d = call.prefill, call.decode
            rate = min(bandwidth[p] // len(self.leaving[p]), bandwidth[d] // len(self.entering[d]))
            if rate < 1:
                rate = 1
            if rate == call.flow_rate:
                continue
            call.flow_work -= call.flow_rate * (now - call.flow_since)
            call.flow_since = now
            call.flow_rate = rate
            call.flow_version += 1
            end = now - (-call.flow_work // rate)
            changed.append((end if end > now else now, call.number, call.flow_version))
        return changed
