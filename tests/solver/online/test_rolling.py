"""The epoch model against brute force; the planner under faults; its log."""

import dataclasses
import importlib
import itertools
import json
import os
import signal
import time
from collections import Counter
from io import StringIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.instances.generators.arrivals import compose_arrivals, poisson
from hexsolve.instances.generators.registry import SHAPES
from hexsolve.models.simulation.cluster import Failure
from hexsolve.models.simulation.engine import Simulation
from hexsolve.solver.online.hexagent import HexAGenT
from hexsolve.solver.online.predictors import make_predictor
from hexsolve.solver.online.rolling.model import SolverBudget, solve_window
from hexsolve.solver.online.rolling.objective import SLOPES, UNIT
from hexsolve.solver.online.rolling.options import RollingOptions
from hexsolve.solver.online.rolling.planner import RollingPlanner
from hexsolve.solver.online.rolling.window import Option, Window, WindowAnswer, WindowCall
from hexsolve.solver.online.rolling.worker import InlineSolver, ProcessSolver
from tests.simulation.engines import cluster, engine

ENOUGH = SolverBudget(seconds=30.0, deterministic=True)


def window_of(rng: np.random.Generator, calls: int) -> Window:
    made = []
    for row in range(calls):
        options = tuple(
            Option(
                p, d, int(rng.integers(1, 50)), int(rng.integers(0, 90)), int(rng.integers(0, 5))
            )
            for p in range(2)
            for d in range(2)
            if rng.random() < 0.6 or (p, d) == (0, 0)
        )
        elapsed, tokens = int(rng.integers(0, 100)), int(rng.integers(1, 9))
        made.append(WindowCall(row, row % 3, elapsed, tokens, options, 0))
    horizon = {w: int(rng.integers(20, 200)) for w in range(3)}
    free = {0: int(rng.integers(0, 40)), 1: 0}
    hinted = sum(call.tokens for call in made if call.options[0].decode == 0)
    room = {0: max(hinted, 12), 1: 12}
    return Window(tuple(made), free, room, horizon, {0: 30}, (0.5, 1.0, 2.0))


def penalty(window: Window, finish: dict[int, int], chosen: dict[int, Option]) -> int:
    """The objective of a complete plan, written down once more."""
    worst: dict[int, int] = {}
    total = 0
    for number, call in enumerate(window.calls):
        flow = call.elapsed_ms + finish[number]
        floor = window.floor_ms.get(call.workflow, 0)
        worst[call.workflow] = max(worst.get(call.workflow, floor), flow)
        total += chosen[number].toll_ms * UNIT // window.horizon_ms[call.workflow]
    for workflow, flow in worst.items():
        horizon = window.horizon_ms[workflow]
        for k, threshold in enumerate(window.thresholds):
            rise = SLOPES[k] - (SLOPES[k - 1] if k else 0)
            excess = max(0, flow - round(threshold * horizon))
            total += max(1, rise * UNIT // horizon) * excess
    return total


def brute_force(window: Window) -> int:
    """The least objective over all options and orders; each server works without pauses."""
    best = None
    numbers = range(len(window.calls))
    for picked in itertools.product(*(call.options for call in window.calls)):
        chosen = dict(zip(numbers, picked, strict=True))
        if any(
            sum(window.calls[n].tokens for n in numbers if chosen[n].decode == d) > room
            for d, room in window.room.items()
        ):
            continue
        for order in itertools.permutations(numbers):
            free = dict(window.free_ms)
            finish = {}
            for n in order:
                end = free[chosen[n].prefill] + chosen[n].prefill_ms
                free[chosen[n].prefill] = end
                finish[n] = end + chosen[n].after_ms
            value = penalty(window, finish, chosen)
            best = value if best is None else min(best, value)
    assert best is not None
    return best


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_the_epoch_model_is_optimal_on_small_windows(seed):
    rng = np.random.default_rng(seed)
    window = window_of(rng, int(rng.integers(2, 5)))
    answer = solve_window(window, ENOUGH)
    assert answer.status == "OPTIMAL"
    assert answer.objective == answer.bound == brute_force(window)
    assert sorted(row for row, _, _ in answer.incumbents[-1]) == list(range(len(window.calls)))


def test_the_hint_is_complete_so_that_no_time_still_gives_the_greedy_plan():
    window = window_of(np.random.default_rng(3), 12)
    answer = solve_window(window, SolverBudget(1e-6, deterministic=True))
    assert answer.status == "FEASIBLE"
    free = dict(window.free_ms)
    finish, chosen = {}, {}
    for number, call in enumerate(window.calls):
        option = chosen[number] = call.options[call.hint]
        free[option.prefill] += option.prefill_ms
        finish[number] = free[option.prefill] + option.after_ms
    assert answer.objective == penalty(window, finish, chosen)


def test_a_sibling_outside_the_window_that_ends_late_leaves_it_feasible():
    window = dataclasses.replace(window_of(np.random.default_rng(3), 6), floor_ms={0: 10**6})
    answer = solve_window(window, ENOUGH)
    assert answer.status == "OPTIMAL"
    assert answer.objective == brute_force(window)


def test_seeds_beyond_32_bits_are_taken():
    window = window_of(np.random.default_rng(3), 4)
    assert solve_window(window, dataclasses.replace(ENOUGH, seed=2**40)).status == "OPTIMAL"


# ---------------------------------------------------------------------- under faults


class PoolWatch:
    """Looks at every KV pool at every event, and counts the events."""

    def __init__(self) -> None:
        self.simulation: Simulation
        self.events: Counter[str] = Counter()

    def call(self, event, now, call, instance):
        self.events[event] += 1
        for each in self.simulation.instances:
            assert each.pool.pinned <= each.pool.capacity

    def workflow(self, event, now, workflow):
        self.events[event] += 1


def busy_run(
    solver=None, deterministic=True, budget_ms=20.0, failures=(), count=12, policy=None, watch=None
):
    rng = np.random.default_rng(1)
    flows = compose_arrivals(list(SHAPES["tool-calling"].generate(count, rng)), poisson(40.0), rng)
    on = cluster(
        prefills=2, decodes=2, instance_options={"nic_bandwidth": 1e9},
        performance=engine(capacity=30_000), failures=failures,
    )  # fmt: skip
    options = RollingOptions(budget_ms=budget_ms, deterministic=deterministic)
    policy = policy or RollingPlanner(options, solver)
    watch = watch or PoolWatch()
    simulation = Simulation(on, flows, policy, make_predictor("noise-0.3", 1), listener=watch)
    watch.simulation = simulation
    record = simulation.run()
    if isinstance(policy, RollingPlanner):
        policy.close()
    assert all(finish > 0 for finish in record.finish)
    assert record.done == sum(len(flow.calls) for flow in flows)
    assert watch.events["decode"] > 0
    return record, getattr(policy, "log", None)


def test_epochs_are_logged_and_reruns_are_equal():
    one, log = busy_run()
    two, again = busy_run()
    assert one.finish == two.finish
    summary = log.summary()
    assert summary == again.summary()
    assert summary["epochs"] > 10
    assert summary["share_optimal"] + summary["share_feasible"] > 0.9
    assert all(epoch.score_ratio <= 1.0 for epoch in log.epochs)
    stream = StringIO()
    log.write(stream)
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(rows) == summary["epochs"]
    assert {"status", "limit_s", "objective", "bound", "gap", "best", "applied"} <= rows[0].keys()


def raises(window, budget):
    raise RuntimeError("boom")


def garbage(window, budget):
    return WindowAnswer("OPTIMAL", incumbents=[[(99, 0, 0)], [(0, 7, 7)], [("x", None, 1)]])


def sleeps(window, budget):
    time.sleep(60)


def is_late_once(window, budget):
    """Answers the row of the first call; late if that is row 0."""
    row = window.calls[0].row
    if row == 0:
        time.sleep(0.4)
    return WindowAnswer("OPTIMAL", objective=float(row))


def dies(window, budget):
    os.kill(os.getpid(), signal.SIGKILL)


def nonsense(window, budget):
    return "what?"


@pytest.mark.parametrize(
    "answer",
    [
        "what?",
        None,
        WindowAnswer("OPTIMAL", incumbents=None),
        WindowAnswer("OPTIMAL", incumbents=[[(0.0, 0, 0)]]),
        WindowAnswer("OPTIMAL", incumbents=[None]),
        WindowAnswer("OPTIMAL", objective="a"),
        WindowAnswer(None),
    ],
    ids=str,
)
def test_answers_that_are_none_are_survived(answer):
    _, log = busy_run(InlineSolver(lambda window, budget: answer), count=4)
    assert log.epochs
    assert all(epoch.best != "cp-sat" for epoch in log.epochs)


@pytest.mark.parametrize("status", ["UNKNOWN", "MODEL_INVALID", "INFEASIBLE"])
def test_a_solver_without_an_answer_is_survived(status):
    _, log = busy_run(InlineSolver(lambda window, budget: WindowAnswer(status)), count=4)
    assert log.summary()["share_fallback"] == 1.0


def test_a_solver_that_raises_or_lies_is_survived():
    _, log = busy_run(InlineSolver(raises))
    assert log.summary()["share_fallback"] == 1.0
    assert "boom" in log.epochs[0].message
    _, log = busy_run(InlineSolver(garbage))
    assert log.summary()["best"].get("cp-sat", 0) == 0


def replaced(solve):
    solver = ProcessSolver(solve)
    assert solver.wait_until_ready()
    return solver


@pytest.mark.parametrize(
    ("solve", "status"), [(sleeps, "TIMEOUT"), (dies, "CRASH"), (nonsense, "ERROR")]
)
def test_a_solver_process_that_hangs_or_dies_is_replaced(solve, status):
    _, log = busy_run(replaced(solve), deterministic=False, budget_ms=30.0, count=6)
    statuses = log.summary()["status"]
    assert status in statuses
    assert log.summary()["share_fallback"] == 1.0


def test_a_solver_process_answers():
    solver = replaced(solve_window)
    window = window_of(np.random.default_rng(5), 4)
    answer = solver.solve(window, SolverBudget(5.0, deterministic=True), 30.0)
    solver.close()
    assert answer.objective == brute_force(window)


def test_a_late_answer_is_thrown_away_and_the_process_kept():
    solver = replaced(is_late_once)
    process = solver._process.pid
    first = window_of(np.random.default_rng(5), 4)
    second = dataclasses.replace(first, calls=first.calls[1:])
    assert solver.solve(first, ENOUGH, 0.01).status.startswith("TIMEOUT")
    busy = solver.solve(second, ENOUGH, 0.01)
    assert "not answered yet" in busy.status
    time.sleep(0.8)
    answer = solver.solve(second, ENOUGH, 10.0)
    assert answer.objective == 1.0
    assert solver._process.pid == process
    solver.close()


@pytest.mark.parametrize("role", ["p", "d"])
@pytest.mark.parametrize("late", [False, True], ids=["planner", "rule that plans beside"])
def test_a_whole_role_fails_while_a_plan_is_on_its_way(role, late):
    """The plan would put calls without a place on instances that are down."""
    for at in (0.2, 0.3, 0.45, 0.9):
        failures = tuple(
            Failure(instance=f"{role}{number}", at_s=at, until_s=at + 2.0) for number in range(2)
        )
        busy_run(failures=failures, policy=HexAGenT(latency_s=0.05) if late else None)


def test_instances_that_fail_amid_a_plan():
    failures = (
        Failure(instance="p1", at_s=0.5, until_s=2.0),
        Failure(instance="d0", at_s=1.0, until_s=4.0),
    )
    watch = PoolWatch()
    _, log = busy_run(failures=failures, watch=watch)
    assert log.summary()["epochs"] > 5
    assert watch.events["lost"] > 0


def test_a_plan_that_does_not_project_better_is_not_carried_out():
    """With an impossible demand on the gain the planner is the rule with its price."""
    rng = np.random.default_rng(2)
    flows = compose_arrivals(list(SHAPES["tool-calling"].generate(12, rng)), poisson(40.0), rng)
    on = cluster(prefills=2, decodes=2, performance=engine(capacity=30_000))

    def finish(**options):
        policy = RollingPlanner(RollingOptions(budget_ms=20.0, **options))
        return Simulation(on, flows, policy, make_predictor("oracle", 1)).run().finish, policy

    held_back, policy = finish(least_gain=0.999)
    assert policy.log.summary()["epochs"] > 5
    assert held_back == finish(calm_ratio=1e9)[0]
    assert held_back != finish()[0]


def test_without_a_price_and_without_plans_the_planner_is_the_rule():
    rng = np.random.default_rng(3)
    flows = compose_arrivals(list(SHAPES["tool-calling"].generate(12, rng)), poisson(40.0), rng)
    on = cluster(prefills=2, decodes=1, performance=engine(capacity=12_000))
    planner = RollingPlanner(RollingOptions(congestion_price=0.0))
    planner.epoch_on_change = False
    runs = [
        Simulation(on, flows, policy, make_predictor("oracle", 1)).run()
        for policy in (planner, HexAGenT())
    ]
    assert runs[0].finish == runs[1].finish


def test_nothing_is_compiled_once_a_run_has_begun():
    def versions() -> dict[str, int]:
        modules = [
            importlib.import_module(f"hexsolve.solver.online.{name}")
            for name in (
                "projection.greedy", "projection.rollout", "projection.decode",
                "projection.prefill", "rolling.candidates",
            )
        ]  # fmt: skip
        return {
            f"{module.__name__}.{name}": len(value.signatures)
            for module in modules
            for name, value in vars(module).items()
            if hasattr(value, "signatures")
        }

    started: list[dict[str, int]] = []

    class Watched(RollingPlanner):
        def start(self, view):
            super().start(view)
            started.append(versions())

    policy = Watched(RollingOptions(budget_ms=20.0))
    busy_run(policy=policy)
    assert policy.log.epochs
    assert versions() == started[0]
