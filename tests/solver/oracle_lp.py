"""The oracle's linear program in the flows, for given instance counts.

Variables are shares of a call class's rate that take one route: prefilled by p and decoded by d,
or both on one mixed group. With routes as variables the best pairing of transfers needs no
formula.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from hexsolve.models.problem import PlanningProblem
from hexsolve.models.workload import CallClass, WorkflowClass
from tests.solver.oracle_rules import (
    Candidate,
    bandwidth,
    burst_share,
    can_stand,
    capacities,
    decode_steps,
    first_token_seconds,
    horizon,
    last_sibling,
    may_serve,
    paths,
    per_token_seconds,
    stretch,
    transfer_seconds,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Route:
    """All calls of one class: prefilled by candidate `first`, decoded by candidate `last`."""

    workflow: WorkflowClass
    call: CallClass
    first: int
    last: int
    seconds: float


class FlowLP:
    """The linear program in the flows; only `right(counts, …)` depends on the counts.

    `load` is the load to be carried. Where it is sought (None) the rule `siblings` is left out, and
    counts below `least_instances` are to be.
    """

    def __init__(
        self, problem: PlanningProblem, candidates: Sequence[Candidate], load: float | None
    ):
        self.problem = problem
        self.load = load
        self.candidates = candidates
        self.solved = 0
        self.calls = [(w, c) for w in problem.workload.classes for c in w.calls]
        self.routes = [route for w, c in self.calls for route in self._routes(w, c)]
        # Columns: the routes, then θ, then α.
        self.theta, self.alpha = len(self.routes), len(self.routes) + 1
        self.columns = len(self.routes) + 2
        self.group_rows, self.row_candidate = self._group_rows()
        self.demand_rows = self._demand_rows()
        self.horizons = [horizon(problem, w) for w in problem.workload.classes]

    def _routes(self, workflow: WorkflowClass, call: CallClass) -> list[Route]:
        problem = self.problem
        able = [
            i
            for i, candidate in enumerate(self.candidates)
            if can_stand(problem, candidate) and may_serve(problem, candidate, workflow, call)
        ]
        by_role = {
            role: [i for i in able if self.candidates[i].role == role]
            for role in ("prefill", "decode", "mixed")
        }
        pairs = [(i, i) for i in by_role["mixed"]]
        pairs += itertools.product(by_role["prefill"], by_role["decode"])
        routes = []
        for first, last in pairs:
            sender, receiver = self.candidates[first], self.candidates[last]
            seconds = first_token_seconds(problem, sender, call)
            seconds += last_sibling(problem, sender, call) + stretch(problem, receiver, call)
            seconds += decode_steps(call) * per_token_seconds(receiver)
            if first != last:
                links = [bandwidth(problem, c.engine) for c in (sender, receiver)]
                seconds += transfer_seconds(problem, call, min(links))
            routes.append(Route(workflow, call, first, last, seconds))
        return routes

    def _group_rows(self) -> tuple[Array, NDArray[np.int64]]:
        rows, owners = [], []
        for i, candidate in enumerate(self.candidates):
            any_call = self.calls[0][1]
            limits = [each for each, _ in capacities(self.problem, candidate, any_call)]
            uses = np.zeros((len(limits), self.columns))
            for column, route in enumerate(self.routes):
                if i in (route.first, route.last):
                    call = route.call
                    rate = route.workflow.rate_per_s * call.repeat * call.parallel
                    per_call = [use for _, use in capacities(self.problem, candidate, call)]
                    uses[:, column] = [rate * use for use in per_call]
            for capacity, row in zip(limits, uses, strict=True):
                if not row.any():
                    continue
                # With nothing to spare, whatever the count, there may be no use: row ≤ 0.
                rows.append(row / capacity if capacity > 0.0 else row)
                owners.append(i if capacity > 0.0 else -1)
            if self.load is not None:
                siblings = self._siblings_rows(i, candidate, self.load)
                rows += siblings
                owners += [i] * len(siblings)
        return np.array(rows).reshape(-1, self.columns), np.array(owners, dtype=np.int64)

    def _siblings_rows(self, i: int, candidate: Candidate, load: float) -> list[Array]:
        """Return calls of a class with siblings over what an instance may take of them at `load`.

        If a larger load can be carried within it, so can `load`, by the same routes.
        """
        rows = []
        for call in [call for _, call in self.calls if call.parallel > 1.0]:
            row = np.zeros(self.columns)
            for column, route in enumerate(self.routes):
                if route.call is call and route.first == i:
                    row[column] = 1.0 / (burst_share(candidate) * load)
            if row.any():
                rows.append(row)
        return rows

    def _demand_rows(self) -> Array:
        rows = np.zeros((len(self.calls), self.columns))
        for row, (workflow, call) in zip(rows, self.calls, strict=True):
            for column, route in enumerate(self.routes):
                row[column] = float(route.workflow is workflow and route.call is call)
            row[self.theta] = -1.0
        return rows

    def path_rows(self, scale: float | None) -> Array:
        """Return rows ≤ 0, multiplied by θ: path latency − scale · H; α in a column for None."""
        rows = []
        for workflow, best in zip(self.problem.workload.classes, self.horizons, strict=True):
            for path in paths(workflow):
                row = np.zeros(self.columns)
                for call in workflow.calls:
                    if call.name in path:
                        row[self.theta] += call.repeat * call.tool_seconds
                        for column, route in enumerate(self.routes):
                            if route.workflow is workflow and route.call is call:
                                row[column] = call.repeat * route.seconds
                if best is None:
                    # No engine could serve this class: no load is possible.
                    row[self.theta] = 1.0
                elif scale is None:
                    row[self.alpha] = -best * self.problem.load
                else:
                    row[self.theta] -= scale * best
                rows.append(row)
        return np.array(rows)

    def right(self, counts: NDArray[np.int64], extra: int) -> Array:
        """Return the right-hand sides (…, rows) for counts (…, candidates)."""
        group = np.where(self.row_candidate >= 0, counts[..., self.row_candidate], 0)
        return np.concatenate([group, np.zeros((*counts.shape[:-1], extra))], axis=-1)

    def solve(
        self, counts: NDArray[np.int64], extra: Array, cost: Array, theta: float | None
    ) -> tuple[float, Array, Array, float] | None:
        """Minimise `cost`; return (value, x, prices of the rows, constant of the dual)."""
        self.solved += 1
        lower, upper = np.zeros(self.columns), np.full(self.columns, np.inf)
        if theta is not None:
            lower[self.theta] = upper[self.theta] = theta
        # Without presolve HiGHS is faster here, but gives up (status 4) on some infeasible ones.
        for presolve in (False, True):
            result = linprog(
                cost,
                A_ub=np.vstack([self.group_rows, extra]),
                b_ub=self.right(counts, len(extra)),
                A_eq=self.demand_rows,
                b_eq=np.zeros(len(self.demand_rows)),
                bounds=np.column_stack([lower, upper]),
                method="highs-ds",
                options={
                    "primal_feasibility_tolerance": 1e-10,
                    "dual_feasibility_tolerance": 1e-10,
                    "presolve": presolve,
                },
            )
            if result.status in (0, 2):
                break
        if result.status == 2:
            return None
        if result.status != 0:
            raise RuntimeError(f"linprog: {result.message}")
        constant = 0.0
        if theta is not None:
            constant = theta * (
                result.lower.marginals[self.theta] + result.upper.marginals[self.theta]
            )
        return float(result.fun), result.x, result.ineqlin.marginals, float(constant)

    def most_load(
        self, counts: NDArray[np.int64], extra: Array, every: NDArray[np.int64]
    ) -> tuple[float, Array, Array]:
        """Return the largest θ, x, and upper bounds on θ for every count vector."""
        cost = np.zeros(self.columns)
        cost[self.theta] = -1.0
        solution = self.solve(counts, extra, cost, None)
        assert solution is not None, "load 0 is always possible"
        value, x, prices, _ = solution
        return -value, x, -(self.right(every, len(extra)) @ prices)

    def flows(self, x: Array, factor: float = 1.0) -> dict[tuple[int, str, str], float]:
        """Return calls per second per (candidate, workflow, call)."""
        flows: dict[tuple[int, str, str], float] = {}
        for share, route in zip(x, self.routes, strict=False):
            rate = route.workflow.rate_per_s * route.call.repeat * route.call.parallel
            served = dict.fromkeys((route.first, route.last), float(share) * rate * factor)
            for i, calls_per_s in served.items():
                key = (i, route.workflow.name, route.call.name)
                flows[key] = flows.get(key, 0.0) + calls_per_s
        return {key: value for key, value in flows.items() if value > 1e-12}
