"""Shared links against whole numbers of any size, and products against themselves."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.models.simulation.calls import RevealedCall, RevealedWorkflow
from hexsolve.models.simulation.clock import TICKS_PER_SECOND, product, span
from hexsolve.models.simulation.links import Links

PREFILLS, DECODES = 2, 2


class PlainLinks:
    """Each flow's work in bytes · ticks/s as one integer; rates anew whenever time goes on."""

    def __init__(self, bandwidth: list[int]) -> None:
        self.bandwidth = bandwidth
        self.left: dict[int, int] = {}
        self.ends: dict[int, tuple[int, int]] = {}

    def rate(self, number: int) -> int:
        p, d = self.ends[number]
        a = sum(1 for other in self.ends.values() if other[0] == p)
        b = sum(1 for other in self.ends.values() if other[1] == d)
        return max(1, min(self.bandwidth[p] // a, self.bandwidth[d] // b))

    def advance(self, ticks: int) -> None:
        for number in self.left:
            self.left[number] -= self.rate(number) * ticks

    def time_left(self, number: int) -> int:
        return max(0, -(-self.left[number] // self.rate(number)))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_flows_end_when_plain_arithmetic_says(data):
    sizes = st.integers(1, 50) | st.integers(1, 2**34)
    bandwidth = data.draw(
        st.lists(st.integers(1, 50) | st.integers(1, 2**43), min_size=4, max_size=4)
    )
    bytes_per_token = data.draw(st.integers(1, 3) | st.just(327_680))
    links, plain = Links(bandwidth, [bytes_per_token] * 4), PlainLinks(bandwidth)
    workflow = RevealedWorkflow(0, "w", "w", 0)
    calls: dict[int, RevealedCall] = {}
    ends: dict[int, int] = {}
    now = 0
    for number in range(data.draw(st.integers(1, 12))):
        # Several may begin, and others be given up, at one instant.
        tokens = data.draw(sizes)
        call = RevealedCall(number, workflow, 0, "c", (), tokens, 1, now)
        call.prefill = data.draw(st.integers(0, PREFILLS - 1))
        call.decode = PREFILLS + data.draw(st.integers(0, DECODES - 1))
        calls[number] = call
        links.begin(call, tokens, now)
        plain.ends[number] = call.prefill, call.decode
        plain.left[number] = tokens * bytes_per_token * TICKS_PER_SECOND
        if data.draw(st.integers(0, 3)) == 0:
            gone = data.draw(st.sampled_from(sorted(calls)))
            links.end(calls.pop(gone))
            ends.pop(gone, None)
            del plain.ends[gone], plain.left[gone]
        if data.draw(st.booleans()):
            now = settle_and_advance(links, plain, calls, ends, now, data)
    while calls:
        now = settle_and_advance(links, plain, calls, ends, now, data)


def settle_and_advance(links, plain, calls, ends, now, data) -> int:
    for end, number, version in links.settle(now):
        assert version == calls[number].flow_version
        ends[number] = end
    assert not links.touched
    assert {n: end - now for n, end in ends.items()} == {n: plain.time_left(n) for n in calls}
    if not calls:
        return now
    step = min(ends.values()) - now
    if data.draw(st.booleans()):
        step = data.draw(st.integers(0, step))
    plain.advance(step)
    now += step
    for number in [n for n, end in ends.items() if end == now]:
        links.end(calls.pop(number))
        del ends[number], plain.ends[number], plain.left[number]
    return now


NUMBERS = st.integers(-(2**10), 2**10) | st.integers(-(2**70), 2**70)
EDGES = st.sampled_from([2**k + d for k in (20, 21, 41, 42, 43, 62, 63) for d in (-1, 0, 1)])


@given(NUMBERS | EDGES, NUMBERS | EDGES)
def test_products_do_not_overflow(large, small):
    assert product(large, small) == large * small


@given(st.integers(1, 2**50), st.integers(0, 2**40), st.integers(0, 60))
def test_the_time_of_steps_is_their_sum(first, growth, steps):
    assert span(first, growth, steps) == sum(first + growth * j for j in range(steps))
