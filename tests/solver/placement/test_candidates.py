"""Pruning rules and candidates never changes what is feasible or what is best."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.models.plan import Objective
from hexsolve.models.problem import PlanningProblem
from hexsolve.solver.placement import grid
from hexsolve.solver.placement.candidates import (
    ROUNDING,
    Candidate,
    binding_rules,
    without_dominated,
)
from hexsolve.solver.placement.search import search
from hexsolve.solver.placement.task import Task
from hexsolve.solver.placement.traffic import Traffic
from tests.solver.placement.tiny import OBJECTIVES, drawn, exact

# Few different values, so that ties and dominance are common.
USAGE = st.sampled_from([0.0, 0.5, 1.0, 2.0])


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, np.ndarray], np.ndarray]:
    classes = draw(st.integers(1, 4))
    row = st.lists(USAGE, min_size=classes, max_size=classes)
    rules = draw(st.lists(row, min_size=1, max_size=6))
    serves = draw(st.lists(st.booleans(), min_size=classes, max_size=classes))
    usage = {f"rule{i}": np.array(values) for i, values in enumerate(rules)}
    return usage, np.array(serves)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(tables(), st.integers(0, 2**32 - 1))
def test_dropped_rules_are_implied_by_kept_ones(
    drawn_table: tuple[dict[str, np.ndarray], np.ndarray], seed: int
) -> None:
    usage, serves = drawn_table
    kept = binding_rules(usage, serves)
    assert kept
    assert list(kept) == [name for name in usage if name in kept]
    assert all(kept[name] is usage[name] for name in kept)
    # For any flows of the classes served, the kept rules need as many instances as all rules.
    for flow in np.random.default_rng(seed).exponential(size=(8, len(serves))) * serves:
        needed = max(float(values @ flow) for values in usage.values())
        assert max(float(values @ flow) for values in kept.values()) == pytest.approx(needed)
    # And none of the kept ones implies another: each is the largest for some class or mix.
    names = list(kept)
    for one in names:
        for other in names:
            if one != other:
                assert (kept[one][serves] > kept[other][serves]).any()


def unpruned(
    problem: PlanningProblem, load: float | None, patch: pytest.MonkeyPatch
) -> list[Candidate]:
    """The whole grid, with the step that prunes it taken out."""

    def all_of_them(candidates: list[Candidate], *_: object) -> list[Candidate]:
        return [candidate for candidate in candidates if candidate.serves.any()]

    with patch.context() as inside:
        inside.setattr(grid, "without_dominated", all_of_them)
        return grid.candidate_groups(problem, Traffic.of(problem), load)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_pruning_never_changes_the_optimum(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = dropped = 0
    for seed in range(60):
        problem = drawn(seed)
        traffic = Traffic.of(problem)
        load = None if objective == "load" else problem.load
        everything = unpruned(problem, load, monkeypatch)
        if not 0 < len(everything) <= (45 if objective == "load" else 90):
            continue
        kept = grid.candidate_groups(problem, traffic, load)
        assert len(kept) <= len(everything)
        best = search(Task(problem, traffic, everything, objective), exact()).run
        pruned = search(Task(problem, traffic, kept, objective), exact()).run
        assert pruned.infeasible == best.infeasible, seed
        if best.objective is not None:
            assert pruned.objective == pytest.approx(best.objective, rel=1e-6, abs=1e-9), seed
        compared += 1
        dropped += len(everything) - len(kept)
        if compared == 6:
            break
    assert compared >= 5
    assert dropped > 10


def dominates(better: Candidate, worse: Candidate, most: np.ndarray | None) -> bool:
    """The definition, number by number."""
    classes = [c for c in range(len(worse.serves)) if worse.serves[c]]
    if better.burst_share < worse.burst_share or not all(better.serves[c] for c in classes):
        return False
    if any(better.latency[c] > worse.latency[c] * ROUNDING for c in classes):
        return False
    if most is not None and all(
        sum(values[c] * most[c] for c in classes) <= 1.0 for values in better.usage.values()
    ):
        return True
    return all(
        any(
            all(mine[c] <= theirs[c] * ROUNDING for c in classes) for theirs in worse.usage.values()
        )
        for mine in better.usage.values()
    )


def test_what_is_dropped_is_what_the_definition_drops(monkeypatch: pytest.MonkeyPatch) -> None:
    dropped = 0
    for seed in range(12):
        problem = drawn(seed)
        most = None if seed % 2 else problem.load * Traffic.of(problem).rate
        groups: dict[tuple[object, str], list[Candidate]] = {}
        for candidate in unpruned(problem, None, monkeypatch):
            groups.setdefault((candidate.engine, candidate.role), []).append(candidate)
        for group in groups.values():
            kept: list[Candidate] = []
            for candidate in group:
                if not any(dominates(other, candidate, most) for other in kept):
                    kept = [other for other in kept if not dominates(candidate, other, most)]
                    kept.append(candidate)
            found = without_dominated(group, most)
            assert [id(candidate) for candidate in found] == [id(candidate) for candidate in kept]
            dropped += len(group) - len(kept)
    assert dropped > 50


def test_every_candidate_serves_something_and_has_its_own_key() -> None:
    for seed in range(30):
        problem = drawn(seed)
        found = grid.candidate_groups(problem, Traffic.of(problem))
        assert len({candidate.key for candidate in found}) == len(found)
        for candidate in found:
            assert candidate.serves.any()
            for values in candidate.usage.values():
                assert np.isfinite(values).all()
                assert (values >= 0).all()
