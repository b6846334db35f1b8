"""Answers of a solver that may be broken: only what is possible goes on."""

from numbers import Real

import numpy as np

from hexsolve.solver.online.projection.arrays import Flags, Frontier
from hexsolve.solver.online.rolling.window import WindowAnswer

Incumbent = list[tuple[int, int, int]]


def trusted(answer: object) -> WindowAnswer:
    """Return `answer` if it has the form of one, else an answer with status ERROR."""
    if not isinstance(answer, WindowAnswer):
        return WindowAnswer(f"ERROR: the solver answered {str(answer)[:80]!r}")
    numbers = (answer.objective, answer.bound, answer.work_s, answer.seconds)
    if not (
        isinstance(answer.status, str)
        and all(each is None or isinstance(each, Real) for each in numbers)
        and answer.seconds is not None
        and isinstance(answer.incumbents, list)
    ):
        return WindowAnswer("ERROR: the solver's answer has fields of the wrong kind")
    return answer


def sound_plans(answer: WindowAnswer, frontier: Frontier, pairs: Flags) -> list[Incumbent]:
    """Return the incumbents of `answer` that the frontier's calls and the cluster allow.

    Parameters
    ----------
    answer : WindowAnswer
    frontier : Frontier
        Of N calls.
    pairs : (P, D) array of bool
        As in `Machines`.
    """
    return [each for each in answer.incumbents if _is_sound(each, frontier, np.asarray(pairs))]


def _is_sound(incumbent: Incumbent, frontier: Frontier, pairs: Flags) -> bool:
    try:
        rows = [row for row, _, _ in incumbent]
        if not all(isinstance(value, int) for each in incumbent for value in each):
            return False
        return len(set(rows)) == len(rows) and all(
            0 <= row < len(frontier.length)
            and 0 <= p < pairs.shape[0]
            and 0 <= d < pairs.shape[1]
            and bool(pairs[p, d])
            and bool(frontier.new[row, p] >= 0)
            and bool(frontier.missing[row, d] >= 0)
            for row, p, d in incumbent
        )
    except (TypeError, ValueError):
        return False
