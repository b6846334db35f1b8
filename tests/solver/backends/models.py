"""Little MILPs whose behaviour under limits is known."""

import itertools

import numpy as np
import pulp


def hard_knapsack(sense: int, items: int = 60, rows: int = 10) -> pulp.LpProblem:
    """A multi-dimensional knapsack: solutions are found at once, the proof takes minutes.

    Maximised value of what is packed, or minimised value of what is left behind.
    """
    rng = np.random.default_rng(5)
    model = pulp.LpProblem("hard_knapsack", sense)
    packed = [model.add_variable(f"x{j}", 0, 1, pulp.LpInteger) for j in range(items)]
    weights = rng.integers(1, 1000, size=(rows, items))
    value = weights.sum(axis=0) / rows + rng.integers(0, 500, size=items)
    terms = [(packed[j], float(value[j])) for j in range(items)]
    if sense == pulp.LpMinimize:
        left = model.add_variable("total", float(value.sum()), float(value.sum()))
        terms = [(variable, -amount) for variable, amount in terms] + [(left, 1.0)]
    model.setObjective(pulp.LpAffineExpression(terms))
    for row in range(rows):
        used = pulp.LpAffineExpression([(packed[j], float(weights[row, j])) for j in range(items)])
        limit = float(weights[row].sum() // 2)
        model.addConstraint(pulp.LpConstraint(used, pulp.LpConstraintLE, f"row{row}", limit))
    return model


def market_split(sense: int, customers: int = 50, products: int = 6) -> pulp.LpProblem:
    """Market split (Cornuéjols and Dawande 1998): no solution is found in any short time.

    The objective ``Σ c·x`` has a finite LP bound all the same.
    """
    rng = np.random.default_rng(7)
    model = pulp.LpProblem("market_split", sense)
    chosen = [model.add_variable(f"x{j}", 0, 1, pulp.LpInteger) for j in range(customers)]
    value = rng.integers(1, 100, size=customers)
    model.setObjective(
        pulp.LpAffineExpression([(chosen[j], float(value[j])) for j in range(customers)])
    )
    demand = rng.integers(0, 100, size=(products, customers))
    for row in range(products):
        sold = pulp.LpAffineExpression(
            [(chosen[j], float(demand[row, j])) for j in range(customers)]
        )
        half = float(demand[row].sum() // 2)
        model.addConstraint(pulp.LpConstraint(sold, pulp.LpConstraintEQ, f"product{row}", half))
    return model


def small_knapsack(sense: int) -> tuple[pulp.LpProblem, float, float]:
    """A random 12-item problem with its enumerated optimum and the value of its LP relaxation.

    Maximise: most value within a capacity; minimise: least value that reaches a demand.
    """
    rng = np.random.default_rng(11)
    weights, values = rng.integers(10, 60, size=12), rng.integers(10, 60, size=12)
    limit = int(weights.sum() // 2)
    model = pulp.LpProblem("small_knapsack", sense)
    chosen = [model.add_variable(f"x{j}", 0, 1, pulp.LpInteger) for j in range(12)]
    model.setObjective(pulp.LpAffineExpression([(chosen[j], float(values[j])) for j in range(12)]))
    used = pulp.LpAffineExpression([(chosen[j], float(weights[j])) for j in range(12)])
    maximise = sense == pulp.LpMaximize
    kind = pulp.LpConstraintLE if maximise else pulp.LpConstraintGE
    model.addConstraint(pulp.LpConstraint(used, kind, "capacity", float(limit)))
    reached = []
    for bits in itertools.product((0, 1), repeat=12):
        weight = int(weights @ np.array(bits))
        if weight <= limit if maximise else weight >= limit:
            reached.append(int(values @ np.array(bits)))
    # Dantzig's greedy solves the relaxation of a knapsack.
    ratio = values / weights
    left, relaxed = float(limit), 0.0
    for j in np.argsort(-ratio if maximise else ratio):
        part = min(1.0, left / weights[j])
        relaxed += part * float(values[j])
        left -= part * float(weights[j])
    return model, float(max(reached) if maximise else min(reached)), relaxed


def infeasible_for_integers() -> pulp.LpProblem:
    """``2x + 4y = 7`` has fractional solutions only."""
    model = pulp.LpProblem("parity", pulp.LpMinimize)
    x = model.add_variable("x", 0, 10, pulp.LpInteger)
    y = model.add_variable("y", 0, 10, pulp.LpInteger)
    model.setObjective(pulp.LpAffineExpression([(x, 1.0), (y, 1.0)]))
    odd = pulp.LpAffineExpression([(x, 2.0), (y, 4.0)])
    model.addConstraint(pulp.LpConstraint(odd, pulp.LpConstraintEQ, "odd", 7.0))
    return model


def infeasible_relaxation() -> pulp.LpProblem:
    """``x ≥ 3`` and ``x ≤ 2``."""
    model = pulp.LpProblem("clash", pulp.LpMaximize)
    x = model.add_variable("x", 0, None, pulp.LpInteger)
    y = model.add_variable("y", 0, 5)
    model.setObjective(pulp.LpAffineExpression([(x, 1.0), (y, 1.0)]))
    terms = pulp.LpAffineExpression([(x, 1.0), (y, 1.0)])
    model.addConstraint(pulp.LpConstraint(terms, pulp.LpConstraintGE, "low", 13.0))
    model.addConstraint(
        pulp.LpConstraint(pulp.LpAffineExpression([(x, 1.0)]), pulp.LpConstraintLE, "high", 2.0)
    )
    return model
