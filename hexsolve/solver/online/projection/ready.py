"""Compile the projection before the first decision needs it."""

import numpy as np

from hexsolve.solver.online.projection.arrays import Bound, Choice, Frontier, Machines
from hexsolve.solver.online.projection.greedy import greedy
from hexsolve.solver.online.projection.rollout import Stakes, improve, roll_out, score


def compile_greedy(machines: Machines) -> tuple[Bound, Frontier, Choice]:
    """Place one made-up call on the idle cluster, so that `greedy` is compiled.

    Compiling takes seconds where the machine code is not on disk yet, and serving must not wait
    for that in the middle of a run.
    """
    none = np.zeros(0, np.int64)
    bound = Bound(none, np.zeros(0), none, none)
    servers, columns = machines.pairs.shape
    frontier = Frontier(
        length=np.ones(1, np.int64),
        steps=np.ones(1, np.int64),
        new=np.ones((1, servers), np.int64),
        missing=np.ones((1, columns), np.int64),
        elapsed=np.zeros(1),
        horizon=np.ones(1),
    )
    return bound, frontier, greedy(machines, bound, frontier, np.zeros(servers), 1, 0.0)


def compile_search(machines: Machines) -> None:
    """Run greedy rule, rollout, score and local search once on a made-up call."""
    bound, frontier, choice = compile_greedy(machines)
    free = np.zeros(len(machines.prefill_numbers))
    stakes = Stakes(np.zeros(1, np.int64), np.zeros(1), np.ones(1), 1, 0.0, 1.0)
    plan = choice.prefill, choice.decode, choice.order
    finish = roll_out(machines, bound, frontier, free, *plan)
    score(machines, frontier, stakes, choice.prefill, finish)
    improve(machines, bound, frontier, free, stakes, *plan, 1, 0)
