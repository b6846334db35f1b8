"""The epoch model put together, hinted and solved under a budget."""

import time
from dataclasses import dataclass

from ortools.sat.python import cp_model

from hexsolve.solver.online.rolling.constraints import (
    completion,
    flow_time_excess,
    kv_room,
    one_option_each,
    prefill_one_at_a_time,
)
from hexsolve.solver.online.rolling.objective import tail_penalty
from hexsolve.solver.online.rolling.variables import Variables, make_variables
from hexsolve.solver.online.rolling.window import Window, WindowAnswer

DETERMINISTIC_PER_SECOND = 0.16
"""Units of CP-SAT's deterministic time that models of this size use in a second of a core."""

KEPT = 4
"""Incumbents handed back; the last ones are the best."""


@dataclass(frozen=True, slots=True)
class SolverBudget:
    """How long CP-SAT may take: real seconds, or its deterministic time with one worker."""

    seconds: float
    deterministic: bool
    workers: int = 1
    seed: int = 0


def build(window: Window) -> tuple[cp_model.CpModel, Variables]:
    """Return the model of a window with the complete greedy plan as its hint."""
    model = cp_model.CpModel()
    v = make_variables(model, window)
    one_option_each(model, window, v)
    prefill_one_at_a_time(model, window, v)
    completion(model, window, v)
    kv_room(model, window, v)
    flow_time_excess(model, window, v)
    tail_penalty(model, window, v)
    _hint(model, window, v)
    return model, v


def _hint(model: cp_model.CpModel, window: Window, v: Variables) -> None:
    """Give every variable its value in the greedy plan: a partial hint may lead nowhere."""
    free = dict(window.free_ms)
    worst: dict[int, int] = dict(window.floor_ms)
    for number, call in enumerate(window.calls):
        option = call.options[call.hint]
        begin = free[option.prefill]
        free[option.prefill] = begin + option.prefill_ms
        end = begin + option.prefill_ms + option.after_ms
        model.add_hint(v.start[number], begin)
        model.add_hint(v.finish[number], end)
        for index, uses in enumerate(v.chosen[number]):
            model.add_hint(uses, index == call.hint)
        worst[call.workflow] = max(worst.get(call.workflow, 0), call.elapsed_ms + end)
    for (workflow, k), excess in v.excess.items():
        limit = round(window.thresholds[k] * window.horizon_ms[workflow])
        model.add_hint(excess, max(0, worst[workflow] - limit))


class _Incumbents(cp_model.CpSolverSolutionCallback):
    """Keeps the last few solutions."""

    def __init__(self, window: Window, v: Variables) -> None:
        super().__init__()
        self._window = window
        self._v = v
        self.plans: list[list[tuple[int, int, int]]] = []

    def on_solution_callback(self) -> None:
        """Note the order and the options of a new incumbent."""
        rows = []
        for number, call in enumerate(self._window.calls):
            for uses, option in zip(self._v.chosen[number], call.options, strict=True):
                if self.boolean_value(uses):
                    begin = self.value(self._v.start[number])
                    rows.append((begin, number, call.row, option.prefill, option.decode))
                    break
        rows.sort()
        self.plans.append([(row, p, d) for _, _, row, p, d in rows])
        del self.plans[:-KEPT]


def solve_window(window: Window, budget: SolverBudget) -> WindowAnswer:
    """Return what CP-SAT finds for `window` within `budget`; building the model counts, too."""
    started = time.perf_counter()
    model, v = build(window)
    solver = cp_model.CpSolver()
    parameters = solver.parameters
    parameters.random_seed = budget.seed % 2**31
    # The model is small and the time is short. Without presolve the hint is an incumbent after
    # 1 ms instead of 5, and the same time finds better plans; probing and symmetry do not pay.
    parameters.cp_model_presolve = False
    parameters.cp_model_probing_level = 0
    parameters.symmetry_level = 0
    if budget.deterministic:
        parameters.num_workers = 1
        parameters.max_deterministic_time = budget.seconds * DETERMINISTIC_PER_SECOND
    else:
        parameters.num_workers = budget.workers
        parameters.max_time_in_seconds = max(1e-3, budget.seconds - (time.perf_counter() - started))
    found = _Incumbents(window, v)
    status = solver.solve(model, found)
    found_one = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    objective = solver.objective_value if found_one else None
    bound = solver.best_objective_bound if status != cp_model.MODEL_INVALID else None
    name = solver.status_name(status)
    if found_one:
        # Derived from the bound, as everywhere: coefficients are integers, and so is the objective.
        name = "OPTIMAL" if objective == bound else "FEASIBLE"
    return WindowAnswer(
        status=name,
        objective=objective,
        bound=bound,
        seconds=solver.wall_time,
        work_s=solver.response_proto.deterministic_time / DETERMINISTIC_PER_SECOND,
        incumbents=found.plans,
    )
