"""Whether KV pools hold what a schedule puts into them; sequences do not see to that."""

import numpy as np

from hexsolve.solver.optimum.bounds.times import Ints
from hexsolve.solver.optimum.flat import FlatProblem


def fits(f: FlatProblem, rows: Ints) -> bool:
    """Return whether no pool ever holds more than it can; rows as of `place_within`."""
    calls = np.arange(f.workflow.size)
    p, d = f.option_p[rows[:, 0]], rows[:, 1]
    decoding = d >= 0
    arrived = rows[:, 3].copy()
    arrived[decoding] = rows[decoding, 4] + f.lag[calls[decoding], p[decoding], d[decoding]]
    prompts = [
        _peak(rows[on, 2], arrived[on], f.prefill_kv[on]) <= f.prompt_room[k]
        for k in range(f.prompt_room.size)
        if (on := p == k).any()
    ]
    decodes = [
        _peak(rows[on, 4], rows[on, 5], f.decode_kv[on]) <= f.room[k]
        for k in range(f.room.size)
        if (on := d == k).any()
    ]
    return all(prompts) and all(decodes)


def _peak(begin: Ints, end: Ints, tokens: Ints) -> int:
    """Return the most tokens that are held at a time, each from its begin up to its end."""
    moments = np.concatenate([begin, end])
    change = np.concatenate([tokens, -tokens])
    # What ends leaves before what begins at the same moment.
    order = np.lexsort((change, moments))
    return int(np.cumsum(change[order]).max())
