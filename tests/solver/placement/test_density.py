"""Finer grids: they contain the usual one, and never prove or promise less."""

import pytest

from hexsolve.models.plan import Objective
from hexsolve.solver.backends import Budget
from hexsolve.solver.placement import grid
from hexsolve.solver.placement.solve import solve
from tests.solver.placement.tiny import exact, small


@pytest.mark.parametrize("density", [1, 2, 5])
def test_a_denser_grid_contains_the_usual_one(density: int) -> None:
    batches = grid._denser_counts(grid.BATCH_SIZES, density)
    shares = grid._denser(grid.MIXED_PREFILL_SHARE, density)
    levels = grid._denser_levels(grid.PREFILL_UTILISATION, density)
    assert set(grid.BATCH_SIZES) <= set(batches)
    assert set(grid.MIXED_PREFILL_SHARE) <= set(shares)
    assert set(grid.PREFILL_UTILISATION) <= set(levels)
    assert len(shares) == density * (len(grid.MIXED_PREFILL_SHARE) - 1) + 1
    assert len(levels) == density * (len(grid.PREFILL_UTILISATION) - 1) + 1
    for found in (batches, shares, levels):
        assert sorted(set(found)) == found
    if density == 1:
        assert tuple(levels) == grid.PREFILL_UTILISATION


@pytest.mark.parametrize("objective", ["cost", "slo"])
def test_a_finer_grid_never_proves_worse(objective: Objective) -> None:
    """Each plan on the usual grid is one on the finer grid, which contains its points."""
    better = 0
    for seed in range(16):
        problem = small(seed, 25, objective)
        if problem is None:
            continue
        usual = solve(problem, objective, exact()).outcome
        finer = solve(problem, objective, Budget(time_s=30.0, gap=0.0, grid=2)).outcome
        if usual.objective is None:
            continue
        assert finer.objective is not None
        assert finer.objective <= usual.objective * (1.0 + 1e-6), seed
        better += finer.objective < usual.objective * (1.0 - 1e-4)
    assert better
