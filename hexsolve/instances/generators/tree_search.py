"""LATS-like tree search: rounds of parallel expansions and parallel evaluations.

Figures (Autellix, arXiv 2502.13965): 159.7 calls a program, 467 prefill and 73 decode tokens a
call; width about 5, depth 5–10, siblings share the path's prefix (arXiv 2506.04301 counts 71
calls in its setting).

A round picks a leaf above the depth limit, expands it by 5 candidates in parallel (each prompt
is the path to the leaf and new tokens) and evaluates each candidate (a call on its path). The
next round waits for all evaluations. Assumed: rounds are 1 + Poisson, so that calls average
159.7; the limit is uniform in 5…10; leaves are picked with weight 2^depth, since values favour
promising, deeper nodes; lognormal token counts, σ = 0.7; acting on the environment takes no
time (not published).
"""

import numpy as np
from numpy.random import Generator

from hexsolve.instances.generators.draws import lognormal_tokens
from hexsolve.instances.generators.thread import WorkflowBuilder
from hexsolve.models.workflow import Workflow

MEAN_CALLS = 159.7
NEW_TOKENS = 467.0
OUTPUT_TOKENS = 73.0
WIDTH = 5
DEPTHS = (5, 10)
SIGMA = 0.7


def generate(count: int, rng: Generator) -> list[Workflow]:
    """Return `count` tree searches."""
    return [_search(number, rng) for number in range(count)]


def _search(number: int, rng: Generator) -> Workflow:
    per_round = 2 * WIDTH
    rounds = 1 + int(rng.poisson(MEAN_CALLS / per_round - 1))
    limit = int(rng.integers(DEPTHS[0], DEPTHS[1], endpoint=True))
    new = lognormal_tokens(rng, NEW_TOKENS, SIGMA, rounds * per_round)
    output = lognormal_tokens(rng, OUTPUT_TOKENS, SIGMA, rounds * per_round)
    flow = WorkflowBuilder()
    # Open leaves: the call that made each, and its depth; the root is no call.
    leaves: list[tuple[int, int]] = [(-1, 0)]
    ready: tuple[int, ...] = ()
    for index in range(rounds):
        weights = np.array([2.0**depth for _, depth in leaves])
        origin, depth = leaves.pop(int(rng.choice(len(leaves), p=weights / weights.sum())))
        base = index * per_round
        candidates = [
            flow.add("expand", new[base + k], output[base + k], parents=ready, continues=origin)
            for k in range(WIDTH)
        ]
        ready = tuple(
            flow.add(
                "evaluate",
                new[base + WIDTH + k],
                output[base + WIDTH + k],
                parents=(candidate,),
                continues=candidate,
            )
            for k, candidate in enumerate(candidates)
        )
        # The limit bounds the tree, never the search: one leaf always stays open.
        if depth + 1 < limit or not leaves:
            leaves.extend((candidate, depth + 1) for candidate in candidates)
    return flow.workflow("tree-search", number)
