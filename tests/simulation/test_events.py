"""The heap of events against a sorted list."""

from hypothesis import given
from hypothesis import strategies as st

from hexsolve.models.simulation.events import Event, pop, push, without

SMALL = st.integers(0, 3)
EVENTS = st.lists(
    st.one_of(st.none(), st.tuples(SMALL | st.integers(0, 2**70), SMALL, SMALL, SMALL))
)


def key(event: Event) -> tuple[int, int, int, int]:
    return event.at, event.kind, event.key, event.version


@given(EVENTS)
def test_events_come_in_order_whenever_they_were_entered(steps):
    heap: list[Event] = []
    expected: list[tuple[int, int, int, int]] = []
    for step in steps:
        if step is not None:
            push(heap, Event(*step))
            expected.append(step)
        elif expected:
            expected.sort()
            assert key(heap[0]) == expected[0]
            assert key(pop(heap)) == expected.pop(0)
    assert sorted(map(key, heap)) == sorted(expected)
    assert [key(pop(heap)) for _ in expected] == sorted(expected)


@given(st.lists(st.tuples(SMALL, SMALL, SMALL, SMALL)), SMALL)
def test_a_kind_can_be_left_out(events, kind):
    heap: list[Event] = []
    for event in events:
        push(heap, Event(*event))
    kept = without(heap, kind)
    assert len(heap) == len(events)
    expected = sorted(event for event in events if event[1] != kind)
    assert [key(pop(kept)) for _ in expected] == expected
    assert not kept
