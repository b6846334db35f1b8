"""Constraints of the epoch model."""

from ortools.sat.python import cp_model

from hexsolve.solver.online.rolling.variables import Variables
from hexsolve.solver.online.rolling.window import Window


def one_option_each(model: cp_model.CpModel, window: Window, v: Variables) -> None:
    """``Σ_o x_co = 1``."""
    for number in range(len(window.calls)):
        model.add_exactly_one(v.chosen[number])


def prefill_one_at_a_time(model: cp_model.CpModel, window: Window, v: Variables) -> None:
    """Prefill rows are unary from when they are free; batches are in the durations."""
    for row, intervals in v.intervals.items():
        if len(intervals) > 1:
            model.add_no_overlap(intervals)
        del row
    for number, call in enumerate(window.calls):
        for uses, option in zip(v.chosen[number], call.options, strict=True):
            free = window.free_ms[option.prefill]
            if free > 0:
                model.add(v.start[number] >= free).only_enforce_if(uses)


def completion(model: cp_model.CpModel, window: Window, v: Variables) -> None:
    """``f_c = s_c + Σ_o x_co · (prefill + transfer + decode)_co``."""
    for number, call in enumerate(window.calls):
        spans = [option.prefill_ms + option.after_ms for option in call.options]
        span = cp_model.LinearExpr.weighted_sum(v.chosen[number], spans)
        model.add(v.finish[number] == v.start[number] + span)


def kv_room(model: cp_model.CpModel, window: Window, v: Variables) -> None:
    """``Σ_c tokens_c · x_co ≤ room_d``: what is sent to d while little leaves it."""
    for column, room in window.room.items():
        demand = [
            (call.tokens, uses)
            for number, call in enumerate(window.calls)
            for uses, option in zip(v.chosen[number], call.options, strict=True)
            if option.decode == column
        ]
        if sum(tokens for tokens, _ in demand) > room:
            uses_list = [uses for _, uses in demand]
            tokens_list = [tokens for tokens, _ in demand]
            model.add(cp_model.LinearExpr.weighted_sum(uses_list, tokens_list) <= room)


def flow_time_excess(model: cp_model.CpModel, window: Window, v: Variables) -> None:
    """``e_wk ≥ elapsed_c + f_c − θ_k·H_w`` for each call c of w, and for what w has outside."""
    for number, call in enumerate(window.calls):
        horizon = window.horizon_ms[call.workflow]
        floor = window.floor_ms.get(call.workflow, 0)
        for k, threshold in enumerate(window.thresholds):
            limit = round(threshold * horizon)
            excess = v.excess[call.workflow, k]
            model.add(excess >= v.finish[number] + call.elapsed_ms - limit)
            if floor > limit:
                model.add(excess >= floor - limit)
