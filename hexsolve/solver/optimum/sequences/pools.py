"""Whether KV pools hold what a schedule puts into them; sequences do not see to that."""

from hexsolve.solver.online.projection.compiled import compiled
from hexsolve.solver.optimum.bounds.times import Ints
from hexsolve.solver.optimum.flat import FlatProblem


@compiled
def bind(f: FlatProblem) -> bool:
    """Return whether any pool can be too small for what may be in it at once."""
    return bool(f.prompts_bind or f.decode_kv.max() > 0)


@compiled
def fits(f: FlatProblem, rows: Ints) -> bool:
    """Return whether no pool ever holds more than it can; rows as of `place_within`.

    Pools are fullest when something has just begun. Pairs of calls are few, and to sort would take
    longer to compile than all runs take.
    """
    for c in range(rows.shape[0]):
        p, d = f.option_p[rows[c, 0]], rows[c, 1]
        prompts = tokens = 0
        for x in range(rows.shape[0]):
            q, e = f.option_p[rows[x, 0]], rows[x, 1]
            if q == p and rows[x, 2] <= rows[c, 2]:
                sent = rows[x, 3] if e < 0 else rows[x, 4] + f.lag[x, q, e]
                if rows[c, 2] < sent:
                    prompts += f.prefill_kv[x]
            if d >= 0 and e == d and rows[x, 4] <= rows[c, 4] < rows[x, 5]:
                tokens += f.decode_kv[x]
        if prompts > f.prompt_room[p] or (d >= 0 and tokens > f.room[d]):
            return False
    return True
