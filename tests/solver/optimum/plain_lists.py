"""List scheduling without profiles: the slow reference of `hexsolve.solver.optimum.placing`."""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush

from hexsolve.solver.optimum.problem import ANYWHERE, Prefill, SchedulingProblem
from hexsolve.solver.optimum.timetable import Placed

FAR = 1 << 60


class _Unary:
    """A prefill instance: busy intervals that do not overlap, in order."""

    __slots__ = ("begins", "ends")

    def __init__(self) -> None:
        self.begins: list[int] = []
        self.ends: list[int] = []

    def earliest(self, ready: int, spans: int) -> int:
        """Return the first start from `ready` on of a gap that is long enough."""
        if not spans:
            return ready
        begins, ends = self.begins, self.ends
        at = bisect_left(ends, ready + 1)
        start = ready
        while at < len(begins) and begins[at] < start + spans:
            start = ends[at]
            at += 1
        return start

    def take(self, start: int, spans: int) -> None:
        if spans:
            at = bisect_left(self.begins, start)
            self.begins.insert(at, start)
            self.ends.insert(at, start + spans)


class Pool:
    """What is in use over time: calls and tokens, with limits."""

    __slots__ = ("limit", "room", "uses")

    def __init__(self, limit: int, room: int) -> None:
        self.limit = limit
        self.room = room
        self.uses: list[tuple[int, int, int]] = []

    def earliest(self, ready: int, spans: int, tokens: int) -> int:
        """Return the first start from `ready` on with room for a call for `spans` ticks."""
        while True:
            clash = self.clash(ready, ready + spans, tokens)
            if clash < 0:
                return ready
            ready = clash

    def clash(self, begin: int, end: int, tokens: int) -> int:
        """Return from when on there may be room for what does not fit in [begin, end), or −1.

        Whatever starts later, but not after the first crowded moment, has that moment in it if it
        ends no earlier; and nothing leaves from then until the first end.
        """
        crowded = self._crowded(begin, end, tokens)
        if crowded < 0:
            return -1
        return min(e for b, e, _ in self.uses if b <= crowded < e)

    def _crowded(self, begin: int, end: int, tokens: int) -> int:
        """Return the first moment in [begin, end) without room for another use, or −1."""
        events: list[tuple[int, int, int]] = []
        count = 0
        held = tokens
        for b, e, size in self.uses:
            if b >= end:
                break
            if e <= begin:
                continue
            count += 1
            held += size
            events.append((max(b, begin), 1, size))
            if e < end:
                events.append((e, -1, -size))
        if count < self.limit and held <= self.room:
            return -1
        events.sort()
        count, held = 0, tokens
        for moment, one, size in events:
            count += one
            held += size
            if count >= self.limit or held > self.room:
                return moment
        return -1

    def take(self, begin: int, end: int, tokens: int) -> None:
        insort(self.uses, (begin, end, tokens))


class PlainLists:
    """Builds timetables; holds what does not change between two of them."""

    def __init__(self, problem: SchedulingProblem) -> None:
        self.problem = problem
        self.children: list[list[int]] = [[] for _ in problem.calls]
        for number, call in enumerate(problem.calls):
            for parent, _ in call.parents:
                self.children[parent].append(number)
        prompts = sum(call.prefill_kv for call in problem.calls)
        self.holds = prompts > min(problem.prefill_room[p] for p in problem.prefill_rows)

    def schedule(
        self, keys: Sequence[float], fixed: Mapping[int, Placed] | None = None
    ) -> list[Placed]:
        """Return the timetable in which the eligible call with the least key is placed next.

        A call is eligible when its parents are placed. It goes to the prefill option and decode
        instance where it ends first, into the first gaps that hold it. `fixed` are calls, with
        their ancestors, that are placed already.
        """
        problem = self.problem
        self._prefills = {p: _Unary() for p in problem.prefill_rows}
        self._held = {p: Pool(FAR, problem.prefill_room[p]) for p in problem.prefill_rows}
        self._decodes = {
            d: Pool(problem.slots[d], problem.decode_room[d]) for d in problem.decode_rows
        }
        placed: list[Placed | None] = [None] * len(problem.calls)
        for number, row in (fixed or {}).items():
            placed[number] = row
            self._take(number, row)
        missing = [
            sum(placed[parent] is None for parent, _ in call.parents) for call in problem.calls
        ]
        heap = [(keys[c], c) for c, m in enumerate(missing) if not m and placed[c] is None]
        heapify(heap)
        while heap:
            _, number = heappop(heap)
            row = self._place(number, placed)
            placed[number] = row
            self._take(number, row)
            for child in self.children[number]:
                missing[child] -= 1
                if not missing[child]:
                    heappush(heap, (keys[child], child))
        return [row for row in placed if row is not None]

    def _take(self, number: int, row: Placed) -> None:
        call, option = self.problem.calls[number], row.option
        self._prefills[option.p].take(row.start, option.occupied)
        if self.holds:
            self._held[option.p].take(row.start, self._held_until(number, row), call.prefill_kv)
        if row.d >= 0:
            self._decodes[row.d].take(row.sent, row.finish, call.decode_kv)

    def _place(self, number: int, placed: Sequence[Placed | None]) -> Placed:
        call = self.problem.calls[number]
        ready = call.release
        for parent, delay in call.parents:
            above = placed[parent]
            assert above is not None
            ready = max(ready, above.finish + delay)
        best: Placed | None = None
        reached = (FAR, FAR)
        for option in call.prefills:
            least = ready
            if option.source != ANYWHERE:
                source = placed[option.source]
                if source is None or source.option.p != option.p:
                    continue
                if option.ordered:
                    least = max(least, source.start + 1)
            start = self._prefills[option.p].earliest(least, option.occupied)
            while True:
                row = self._finish(number, option, start, ready, reached)
                if row is None or not self.holds:
                    break
                end = self._held_until(number, row)
                clash = self._held[option.p].clash(start, end, call.prefill_kv)
                if clash < 0:
                    break
                start = self._prefills[option.p].earliest(clash, option.occupied)
            if row is not None and (row.finish, option.occupied) < reached:
                best, reached = row, (row.finish, option.occupied)
        assert best is not None
        return best

    def _held_until(self, number: int, row: Placed) -> int:
        if row.d < 0:
            return row.prefilled
        return row.sent + self.problem.calls[number].lag(row.option.p, row.d)

    def _finish(
        self, number: int, option: Prefill, start: int, ready: int, limit: tuple[int, int]
    ) -> Placed | None:
        """Return the call on the decode instance where it ends first, if that is before `limit`."""
        call = self.problem.calls[number]
        prefilled = max(start + option.lead, ready + option.latency)
        if not call.decodes:
            if (prefilled, option.occupied) >= limit:
                return None
            return Placed(option, -1, start, prefilled, prefilled, prefilled)
        ranked = sorted(
            (prefilled + call.lag(option.p, d) + spans, call.lag(option.p, d) + spans, d)
            for d, spans in call.decodes
        )
        best: Placed | None = None
        for earliest, spans, d in ranked:
            if (earliest, option.occupied) >= limit:
                break
            sent = self._decodes[d].earliest(prefilled, spans, call.decode_kv)
            finish = sent + spans
            if (finish, option.occupied) < limit:
                limit = (finish, option.occupied)
                best = Placed(option, d, start, prefilled, sent, finish)
        return best
