"""A schedule of the scheduling problem: options and ticks of every call, and its value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hexsolve.models.schedule import ScheduledCall
from hexsolve.solver.optimum.problem import Prefill, SchedulingProblem


@dataclass(frozen=True, slots=True)
class Placed:
    """One call: where it runs, and when its prefill starts and ends, transfer starts, it ends.

    `d` is −1 and `sent` the end of the prefill where there is nothing to decode.
    """

    option: Prefill
    d: int
    start: int
    prefilled: int
    sent: int
    finish: int


Timetable = Sequence[Placed]
"""By position of the call in the problem."""


def finishes(problem: SchedulingProblem, timetable: Timetable) -> list[int]:
    """Return when each workflow is complete."""
    return [
        max(timetable[call].finish for call in problem.of(workflow))
        for workflow in range(problem.workflows)
    ]


def slowdowns(problem: SchedulingProblem, timetable: Timetable) -> list[float]:
    """Return F_w/H_w of each workflow."""
    ends = finishes(problem, timetable)
    return [problem.slowdown(workflow, end) for workflow, end in enumerate(ends)]


def value(problem: SchedulingProblem, timetable: Timetable) -> float:
    """Return Req_q."""
    return sorted(slowdowns(problem, timetable))[problem.workflows - problem.spare - 1]


def worst_slowdown(problem: SchedulingProblem, placed: Mapping[int, Placed]) -> float:
    """Return the largest slowdown among workflows of which all calls are placed, by position."""
    ends: dict[int, int] = {}
    for c, row in placed.items():
        workflow = problem.calls[c].workflow
        ends[workflow] = max(row.finish, ends.get(workflow, 0))
    return max(problem.slowdown(workflow, end) for workflow, end in ends.items())


def kept(problem: SchedulingProblem, timetable: Timetable) -> list[int]:
    """Return the ⌈q·n/100⌉ workflows that count, ascending; the others may take any time."""
    ranked = sorted(enumerate(slowdowns(problem, timetable)), key=lambda pair: pair[::-1])
    return sorted(workflow for workflow, _ in ranked[: problem.workflows - problem.spare])


def scheduled_calls(problem: SchedulingProblem, timetable: Timetable) -> tuple[ScheduledCall, ...]:
    """Return the rows of a `Schedule`."""
    names = [spec.name for spec in problem.cluster.instances]
    rows = []
    for call, placed in zip(problem.calls, timetable, strict=True):
        decodes = placed.d >= 0
        times = dict(call.decodes)
        rows.append(
            ScheduledCall(
                workflow=call.workflow,
                call=call.index,
                prefill=names[placed.option.p],
                decode=names[placed.d] if decodes else None,
                cached_tokens=placed.option.cached,
                prefill_start=placed.start,
                prefill_end=placed.prefilled,
                transfer_start=placed.sent if decodes else None,
                transfer_end=placed.finish - times[placed.d] if decodes else None,
                finish=placed.finish,
            )
        )
    return tuple(rows)


def timetable_of(problem: SchedulingProblem, rows: Sequence[ScheduledCall]) -> list[Placed]:
    """Return the timetable of the rows of a `Schedule` that keeps all rules; see `scheduled_calls`.

    Instances and starts of prefills and transfers are kept; what follows ends as soon as it can. A
    call that computes what is there, for which the problem has no option, finds it there.
    """
    numbers = {spec.name: number for number, spec in enumerate(problem.cluster.instances)}
    by_place = {(row.workflow, row.call): row for row in rows}
    ordered = [by_place[call.workflow, call.index] for call in problem.calls]
    timetable: list[Placed] = []
    for call, row in zip(problem.calls, ordered, strict=True):
        there = []
        for option in call.prefills:
            source = ordered[option.source] if option.source >= 0 else row
            earlier = source is row or source.prefill_start < row.prefill_start
            if option.p == numbers[row.prefill] == numbers[source.prefill] and earlier:
                there.append(option)
        chosen = min(there, key=lambda each: (each.cached != row.cached_tokens, each.lead))
        ready = max([call.release, *(timetable[c].finish + delay for c, delay in call.parents)])
        done = max(row.prefill_start + chosen.lead, ready + chosen.latency)
        d, sent, finish = -1, done, done
        if row.decode is not None and row.transfer_start is not None:
            d, sent = numbers[row.decode], row.transfer_start
            finish = sent + call.lag(chosen.p, d) + dict(call.decodes)[d]
        timetable.append(Placed(chosen, d, row.prefill_start, done, sent, finish))
    return timetable
