"""All instance counts that inventory and budget allow, for the oracle."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hexsolve.models.problem import PlanningProblem
from tests.solver.oracle_rules import Candidate, can_stand, least_instances

MOST_VECTORS = 100_000
TOLERANCE = 1e-9


def count_vectors(
    problem: PlanningProblem, candidates: Sequence[Candidate], max_total: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return all counts that inventory and budget allow (one row each), and their US$/h."""
    usable = [can_stand(problem, candidate) for candidate in candidates]
    per_pool: list[list[tuple[dict[int, int], float]]] = []
    for pool in problem.cluster.pools:
        here = [i for i, c in enumerate(candidates) if c.engine.gpu == pool.gpu and usable[i]]
        options: list[tuple[dict[int, int], float]] = []
        price = problem.price_per_hour(pool.gpu)

        def nodes(chosen: dict[int, int], per_node: int = pool.gpus_per_node) -> float:
            """Nodes that the chosen counts need; inf when a stage is larger than a node."""
            need = 0
            for i in chosen:
                size = candidates[i].engine.tp
                if size > per_node:
                    return math.inf
                gpus = sum(
                    n * candidates[j].engine.pp * candidates[j].engine.tp
                    for j, n in chosen.items()
                    if candidates[j].engine.tp >= size
                )
                need = max(need, math.ceil(gpus / size / (per_node // size)))
            return need

        stack: list[tuple[int, dict[int, int]]] = [(0, {})]
        while stack:
            place, chosen = stack.pop()
            if place == len(here):
                gpus = sum(n * candidates[i].engine.gpus for i, n in chosen.items())
                if pool.billing == "node":
                    gpus = int(nodes(chosen)) * pool.gpus_per_node
                options.append((chosen, gpus * price))
                if len(options) > MOST_VECTORS:
                    raise ValueError("too many counts to enumerate")
                continue
            number = 0
            while True:
                more = {**chosen, here[place]: number} if number else chosen
                if nodes(more) > pool.nodes:
                    break
                if max_total is not None and sum(more.values()) > max_total:
                    break
                stack.append((place + 1, more))
                number += 1
        per_pool.append(options)
    if math.prod(len(options) for options in per_pool) > MOST_VECTORS:
        raise ValueError("too many counts to enumerate")
    rows, costs = [], []
    for combination in itertools.product(*per_pool):
        row = [0] * len(candidates)
        for chosen, _ in combination:
            for i, number in chosen.items():
                row[i] = number
        rows.append(row)
        costs.append(sum(cost for _, cost in combination))
    counts, prices = np.array(rows, dtype=np.int64), np.array(costs)
    allowed = np.ones(len(counts), dtype=bool)
    if problem.budget_per_hour is not None:
        allowed &= prices <= problem.budget_per_hour * (1 + TOLERANCE)
    if max_total is not None:
        allowed &= counts.sum(axis=1) <= max_total
    return counts[allowed], prices[allowed]


def spread_enough(
    problem: PlanningProblem, candidates: Sequence[Candidate], counts: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which rows build none of a candidate, or enough to spread siblings over."""
    least = np.array([least_instances(problem, candidate) for candidate in candidates])
    enough: NDArray[np.bool_] = ((counts == 0) | (counts >= least)).all(axis=1)
    return enough
