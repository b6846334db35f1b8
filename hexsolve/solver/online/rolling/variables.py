"""Variables of the epoch model."""

from dataclasses import dataclass

from ortools.sat.python import cp_model

from hexsolve.solver.online.rolling.window import Window


@dataclass(slots=True)
class Variables:
    """All variables; lists run over the window's calls.

    Attributes
    ----------
    start : list of IntVar
        s_c, start of prefill, ms from now.
    finish : list of IntVar
        f_c, completion, ms from now.
    chosen : list of list of BoolVar
        x_co, whether call c uses its option o.
    intervals : dict of int to list of IntervalVar
        Per prefill row the optional intervals ``[s_c, s_c + prefill_ms)`` of x_co.
    excess : dict of (int, int) to IntVar
        e_wk ≥ 0, ms by which workflow w's flow time exceeds threshold k times its horizon.
    """

    start: list[cp_model.IntVar]
    finish: list[cp_model.IntVar]
    chosen: list[list[cp_model.IntVar]]
    intervals: dict[int, list[cp_model.IntervalVar]]
    excess: dict[tuple[int, int], cp_model.IntVar]


def make_variables(model: cp_model.CpModel, window: Window) -> Variables:
    """Create the variables with the tightest obvious domains."""
    horizon = latest_ms(window)
    start, finish, chosen = [], [], []
    intervals: dict[int, list[cp_model.IntervalVar]] = {}
    for number, call in enumerate(window.calls):
        begin = model.new_int_var(
            min(window.free_ms[option.prefill] for option in call.options), horizon, f"s{number}"
        )
        end = model.new_int_var(0, horizon, f"f{number}")
        options = []
        for index, option in enumerate(call.options):
            uses = model.new_bool_var(f"x{number},{index}")
            interval = model.new_optional_fixed_size_interval_var(
                begin, option.prefill_ms, uses, f"i{number},{index}"
            )
            intervals.setdefault(option.prefill, []).append(interval)
            options.append(uses)
        start.append(begin)
        finish.append(end)
        chosen.append(options)
    workflows = sorted({call.workflow for call in window.calls})
    elapsed = max(call.elapsed_ms for call in window.calls)
    latest = max(horizon + elapsed, *window.floor_ms.values(), 0)
    excess = {
        (w, k): model.new_int_var(0, latest, f"e{w},{k}")
        for w in workflows
        for k in range(len(window.thresholds))
    }
    return Variables(start, finish, chosen, intervals, excess)


def latest_ms(window: Window) -> int:
    """Return a time by which any sensible plan of the window is done, ms."""
    work = sum(max(option.prefill_ms for option in call.options) for call in window.calls)
    after = max(option.after_ms for call in window.calls for option in call.options)
    return max(window.free_ms.values()) + work + after
