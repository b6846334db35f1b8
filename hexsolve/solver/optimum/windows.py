"""Earliest starts and ends, and what must follow: the critical paths of the scheduling problem."""

from hexsolve.solver.optimum.problem import SchedulingProblem


class Windows:
    """Heads and tails of all calls, from least durations.

    Attributes
    ----------
    head : list of int
        Earliest start of the prefill.
    least : list of int
        Least ticks from the start of the prefill to the finish.
    tail : list of int
        Least ticks from a call's finish to its workflow's end.
    end : list of int
        Earliest end of each workflow.
    """

    def __init__(self, problem: SchedulingProblem) -> None:
        self.problem = problem
        calls = problem.calls
        # Of a ready call to its finish, and of its start: optimistic calls may share a batch.
        span = []
        self.least = []
        for call in calls:
            rest = [
                (option, min((call.lag(option.p, d) + t for d, t in call.decodes), default=0))
                for option in call.prefills
            ]
            span.append(min(max(o.lead, o.latency) + r for o, r in rest))
            self.least.append(min(o.lead + r for o, r in rest))
        self.head = [0] * len(calls)
        self.done = [0] * len(calls)
        for number, call in enumerate(calls):
            ready = [self.done[parent] + delay for parent, delay in call.parents]
            self.head[number] = max([call.release, *ready])
            self.done[number] = self.head[number] + span[number]
        self.tail = [0] * len(calls)
        for number in reversed(range(len(calls))):
            for parent, delay in calls[number].parents:
                follows = delay + span[number] + self.tail[number]
                self.tail[parent] = max(self.tail[parent], follows)
        self.end = [max(self.done[c] for c in problem.of(w)) for w in range(problem.workflows)]

    def critical_path_bound(self) -> float:
        """Return Req_q if every workflow took its critical path."""
        problem = self.problem
        values = sorted(problem.slowdown(w, end) for w, end in enumerate(self.end))
        return values[problem.workflows - problem.spare - 1]
