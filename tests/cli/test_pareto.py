"""``hexsolve pareto``: the front is one, and what the command prints, writes and exits with."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from hexsolve.instances.resolve import load_problem
from hexsolve.models.check import check_plan
from hexsolve.solver.backends import Budget
from hexsolve.solver.placement.pareto import ParetoPoint, pareto_front
from hexsolve.solver.placement.solve import solve
from tests.cli.conftest import Run

INSTANCE = """
name: tiny
llm: llama-3.1-8b
cluster:
  name: two-nodes
  pools:
    - {gpu: h100, gpus_per_node: 4, nodes: 2}
    - {gpu: a100-80, gpus_per_node: 4, nodes: 1}
workload:
  classes:
    - name: chat
      rate_per_s: 20
      calls:
        - {name: answer, new_tokens: 1000, output_tokens: 100}
engines: {tensor_parallel: [1]}
"""
POINTS, GAP = 4, 1e-2


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pareto") / "tiny.yaml"
    path.write_text(INSTANCE)
    return path


@pytest.fixture(scope="module")
def front(instance: Path) -> list[ParetoPoint]:
    return list(pareto_front(load_problem(instance), POINTS, Budget(gap=GAP)))


def test_a_tighter_scale_never_costs_less(front: list[ParetoPoint]) -> None:
    assert len(front) == POINTS
    scales = [point.slo_scale for point in front[1:]]
    assert front[0].slo_scale is None
    assert scales == sorted(scales, key=lambda scale: -(scale or 0.0))
    for loose, tight in itertools.pairwise(front):
        assert loose.outcome.bound is not None
        assert tight.outcome.objective is not None
        # Every plan for the tighter scale is one for the looser, whose bound thus holds for it.
        assert loose.outcome.bound <= tight.outcome.objective * (1.0 + 1e-9)
    assert front[-1].outcome.objective > front[0].outcome.objective  # type: ignore[operator]


def test_every_plan_keeps_its_scale(instance: Path, front: list[ParetoPoint]) -> None:
    problem = load_problem(instance)
    for point in front:
        assert point.plan is not None
        assert (
            check_plan(problem.model_copy(update={"slo_scale": point.slo_scale}), point.plan) == []
        )
        if point.slo_scale is not None:
            assert point.plan.slo_scale <= point.slo_scale * (1.0 + 1e-6)


def test_the_front_ends_at_the_least_scale(instance: Path, front: list[ParetoPoint]) -> None:
    tightest = solve(load_problem(instance), "slo", Budget(gap=1e-6)).outcome.bound
    assert tightest is not None
    assert front[-1].slo_scale is not None
    # within the allowed gap, once for the proof and once for the room left to the last plan
    assert tightest <= front[-1].slo_scale <= tightest * (1.0 + GAP) / (1.0 - GAP)


def test_json_and_table_show_the_same_points(run: Run, instance: Path) -> None:
    arguments = ("pareto", instance, "--points", 2, "--gap", GAP)
    printed = run(*arguments, "--json")
    assert printed.code == 0
    points: list[dict[str, Any]] = json.loads(printed.out)
    assert [point["slo_scale_allowed"] is None for point in points] == [True, False]
    table = run(*arguments)
    assert table.code == 0
    for point in points:
        assert point["gap"] <= GAP
        assert point["grid"] == 1
        assert sum(point["gpus"].values()) > 0
        assert f"{point['cost_per_hour']:,.2f}" in table.out


@pytest.mark.parametrize(
    ("option", "value"),
    [("--points", 1), ("--time-limit", "nan"), ("--gap", -1), ("--threads", 0)],
)
def test_a_wrong_option_is_one_usage_error(
    run: Run, instance: Path, option: str, value: object
) -> None:
    ran = run("pareto", instance, option, value)
    assert ran.code == 2
    assert option in ran.err
    assert ran.out == ""


def test_an_overload_is_infeasible(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "overload.yaml"
    path.write_text(INSTANCE.replace("rate_per_s: 20", "rate_per_s: 200000"))
    ran = run("pareto", path, "--points", 3, "--json")
    assert ran.code == 3
    (only,) = json.loads(ran.out)
    assert only["status"] == "infeasible"
    assert only["gpus"] == {}
