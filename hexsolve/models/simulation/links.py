"""KV transfers that share the bandwidth of both ends."""

from typing import Final

from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.clock import product

MICRO: Final = 10**6
"""Microbytes per byte, and picobytes per microbyte."""


class Links:
    """Flows from prefill to decode instances; work is in picobytes, so that it stays whole.

    What is left of a flow is kept as microbytes and picobytes below one of them, since the two are
    machine integers where their sum is not.

    With a flows leaving p and b entering d a flow moves ``min(⌊out_p/a⌋, ⌊in_d/b⌋)`` bytes/s.
    """

    __slots__ = (
        "bandwidth",
        "bytes_per_token",
        "entering",
        "leaving",
        "received_bytes",
        "sent_bytes",
        "touched",
    )

    def __init__(self, bandwidth: list[int], bytes_per_token: list[int]) -> None:
        self.bandwidth = bandwidth
        self.bytes_per_token = bytes_per_token
        self.leaving: list[list[RevealedCall]] = [[] for _ in bandwidth]
        self.entering: list[list[RevealedCall]] = [[] for _ in bandwidth]
        # Instances whose flows have begun or ended since the last `settle`.
        self.touched: list[int] = []
        self.sent_bytes = [0] * len(bandwidth)
        self.received_bytes = [0] * len(bandwidth)

    def begin(self, call: RevealedCall, tokens: int, now: int) -> None:
        """Start a flow."""
        source, target = call.prefill, call.decode
        size = tokens * self.bytes_per_token[source]
        self.sent_bytes[source] += size
        self.received_bytes[target] += size
        call.flow_micros = product(size, MICRO)
        call.flow_picos = 0
        call.flow_rate = 0
        call.flow_since = now
        self.leaving[source].append(call)
        self.entering[target].append(call)
        self._touch(source, target)

    def end(self, call: RevealedCall) -> None:
        """Stop a flow, finished or not."""
        source, target = call.prefill, call.decode
        call.flow_version += 1
        self.leaving[source].remove(call)
        self.entering[target].remove(call)
        self._touch(source, target)

    def _touch(self, source: int, target: int) -> None:
        touched = self.touched
        if source not in touched:
            touched.append(source)
        if target not in touched:
            touched.append(target)

    def settle(self, now: int) -> list[tuple[int, int, int]]:
        """Share links anew; return (end, call, version) of every flow whose end is new.

        Once for all that began and ended at an instant: a batch lets several flows begin, and a
        rate that lasts no time moves nothing.
        """
        changed: list[tuple[int, int, int]] = []
        for number in self.touched:
            # An instance sends or receives.
            for call in self.leaving[number] or self.entering[number]:
                self._share(call, now, changed)
        self.touched.clear()
        return changed

    def _share(self, call: RevealedCall, now: int, changed: list[tuple[int, int, int]]) -> None:
        p, d = call.prefill, call.decode
        bandwidth = self.bandwidth
        rate = min(bandwidth[p] // len(self.leaving[p]), bandwidth[d] // len(self.entering[d]))
        if rate < 1:
            rate = 1
        if rate == call.flow_rate:
            return
        if call.flow_rate:
            # A byte/s is a picobyte per tick.
            elapsed = now - call.flow_since
            whole = elapsed // MICRO
            picos = call.flow_picos - product(call.flow_rate, elapsed - whole * MICRO)
            call.flow_micros += picos // MICRO - product(call.flow_rate, whole)
            call.flow_picos = picos % MICRO
        call.flow_since = now
        call.flow_rate = rate
        call.flow_version += 1
        # ⌈work / rate⌉, digit by digit in base 10⁶.
        whole = call.flow_micros // rate
        picos = product(call.flow_micros - product(rate, whole), MICRO) + call.flow_picos
        end = now + whole * MICRO - (-picos // rate)
        changed.append((end if end > now else now, call.number, call.flow_version))
