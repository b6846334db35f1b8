"""Whether KV pools hold what a schedule puts into them; sequences do not see to that."""

import numpy as np

from hexsolve.solver.online.projection.compiled import compiled
from hexsolve.solver.optimum.bounds.times import Ints
from hexsolve.solver.optimum.flat import FlatProblem


@compiled
def bind(f: FlatProblem) -> bool:
    """Return whether any pool can be too small for what may be in it at once."""
    return bool(f.prompts_bind or f.decode_kv.max() > 0)


@compiled
def fits(f: FlatProblem, rows: Ints) -> bool:
    """Return whether no pool ever holds more than it can; rows as of `place_within`."""
    calls = f.workflow.size
    for p in range(f.prompt_room.size):
        begin, end = np.zeros(calls, dtype=np.int64), np.zeros(calls, dtype=np.int64)
        tokens = np.zeros(calls, dtype=np.int64)
        for c in range(calls):
            if f.option_p[rows[c, 0]] == p:
                d = rows[c, 1]
                begin[c], tokens[c] = rows[c, 2], f.prefill_kv[c]
                end[c] = rows[c, 3] if d < 0 else rows[c, 4] + f.lag[c, p, d]
        if _peak(begin, end, tokens) > f.prompt_room[p]:
            return False
    for d in range(f.room.size):
        tokens = np.where(rows[:, 1] == d, f.decode_kv, 0)
        if _peak(rows[:, 4], rows[:, 5], tokens) > f.room[d]:
            return False
    return True


@compiled
def _peak(begin: Ints, end: Ints, tokens: Ints) -> int:
    """Return the most tokens that are held at a time, each from its begin up to its end."""
    # What ends leaves before what begins at the same moment.
    moments = np.concatenate((2 * begin + 1, 2 * end))
    change = np.concatenate((tokens, -tokens))
    held = most = 0
    for k in np.argsort(moments, kind="mergesort"):
        held += change[k]
        most = max(most, held)
    return most
