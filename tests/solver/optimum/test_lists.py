"""The first start with room in a pool, against every tick; and lists that are cut short."""

from hypothesis import given
from hypothesis import strategies as st

from hexsolve.solver.optimum.lists import _Pool
from hexsolve.solver.optimum.start import Incumbent, first_schedules
from hexsolve.solver.optimum.windows import Windows
from tests.solver.optimum.instances import problem_of, random_instance

USES = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 8), st.integers(0, 5)), min_size=1, max_size=12
)


def fits(pool: _Pool, begin: int, end: int, tokens: int) -> bool:
    """Whether there is room at every tick."""
    for tick in range(begin, end):
        sizes = [size for b, e, size in pool.uses if b <= tick < e]
        if len(sizes) >= pool.limit or sum(sizes) + tokens > pool.room:
            return False
    return True


@given(
    uses=USES,
    limit=st.integers(1, 4),
    room=st.integers(5, 12),
    ready=st.integers(0, 25),
    spans=st.integers(1, 8),
    tokens=st.integers(0, 5),
)
def test_the_earliest_start_is_the_first_tick_with_room(
    uses: list[tuple[int, int, int]], limit: int, room: int, ready: int, spans: int, tokens: int
) -> None:
    pool = _Pool(limit, room)
    for begin, length, size in uses:
        start = pool.earliest(begin, length, size)
        assert fits(pool, start, start + length, size)
        pool.take(start, start + length, size)
    expected = next(tick for tick in range(ready, 1000) if fits(pool, tick, tick + spans, tokens))
    assert pool.earliest(ready, spans, tokens) == expected


def test_lists_stop_when_it_is_enough() -> None:
    cluster, workflows = random_instance(3)
    windows = Windows(problem_of(cluster, workflows))
    asked: list[int] = []

    def enough() -> bool:
        asked.append(1)
        return len(asked) == 2

    incumbent = Incumbent(windows)
    first_schedules(windows, incumbent, enough)
    assert len(asked) == 2
    assert len(incumbent.timetable) == len(windows.problem.calls)
