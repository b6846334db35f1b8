"""Every schedule of a tiny problem that starts as early as its order allows: the slow truth.

An optimal schedule exists that the serial scheme builds from some order of operations (a prefill
and a decode per call) and some choice of options: moving an operation forward never hurts a
regular objective. Prompts must not bind the prefill pools, since their use has no fixed length.
"""

from hexsolve.solver.optimum.problem import SchedulingProblem


class Oracle:
    """Depth-first over the next operation and its option; pruned only by finished workflows."""

    def __init__(self, problem: SchedulingProblem) -> None:
        self.problem = problem
        self.best = float("inf")
        self.start: dict[int, int] = {}
        self.row: dict[int, int] = {}
        self.prefilled: dict[int, int] = {}
        self.finish: dict[int, int] = {}
        self.busy: dict[int, list[tuple[int, int]]] = {p: [] for p in problem.prefill_rows}
        self.uses: dict[int, list[tuple[int, int, int]]] = {d: [] for d in problem.decode_rows}

    def run(self) -> float:
        """Return the least Req_q."""
        self._branch()
        return self.best

    def _value(self) -> float:
        """Req_q if the calls without a finish took no time."""
        problem = self.problem
        values = []
        for w in range(problem.workflows):
            ends = [self.finish[c] for c in problem.of(w) if c in self.finish]
            values.append(problem.slowdown(w, max(ends)) if ends else 0.0)
        return sorted(values)[problem.workflows - problem.spare - 1]

    def _branch(self) -> None:
        problem = self.problem
        if self._value() >= self.best:
            return
        if len(self.finish) == len(problem.calls):
            self.best = self._value()
            return
        for c, call in enumerate(problem.calls):
            if c in self.finish:
                continue
            if c in self.prefilled:
                for d, spans in call.decodes:
                    self._decode(c, d, spans)
            elif all(parent in self.finish for parent, _ in call.parents):
                self._prefill(c)

    def _prefill(self, c: int) -> None:
        call = self.problem.calls[c]
        ready = max([call.release, *(self.finish[p] + delay for p, delay in call.parents)])
        for option in call.prefills:
            begin = ready
            if option.source >= 0:
                if self.row.get(option.source) != option.p:
                    continue
                if option.ordered:
                    begin = max(begin, self.start[option.source] + 1)
            while any(b < begin + option.occupied and begin < e for b, e in self.busy[option.p]):
                begin += 1
            end = max(begin + option.lead, ready + option.latency)
            self.busy[option.p].append((begin, begin + option.occupied))
            self.start[c], self.row[c], self.prefilled[c] = begin, option.p, end
            if not call.decodes:
                self.finish[c] = end
            self._branch()
            self.finish.pop(c, None)
            self.busy[option.p].pop()
            del self.start[c], self.row[c], self.prefilled[c]

    def _decode(self, c: int, d: int, spans: int) -> None:
        problem = self.problem
        call = problem.calls[c]
        spans += max(call.lag_out[self.row[c]], call.lag_in[d])
        begin = self.prefilled[c]
        while not self._fits(d, begin, begin + spans, call.decode_kv):
            begin += 1
        self.uses[d].append((begin, begin + spans, call.decode_kv))
        self.finish[c] = begin + spans
        self._branch()
        del self.finish[c]
        self.uses[d].pop()

    def _fits(self, d: int, begin: int, end: int, tokens: int) -> bool:
        for tick in range(begin, end):
            there = [size for b, e, size in self.uses[d] if b <= tick < e]
            if len(there) >= self.problem.slots[d]:
                return False
            if sum(there) + tokens > self.problem.decode_room[d]:
                return False
        return True
