"""The model put together, hinted with a complete schedule, solved, and read back."""

import math
import threading
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass

from ortools.sat.python import cp_model
from ortools.sat.python.cp_model_helper import SatParameters

from hexsolve.solver.optimum.cpsat import constraints
from hexsolve.solver.optimum.cpsat.energetic import energy
from hexsolve.solver.optimum.cpsat.joint import add_joint_hints, joint_capacity
from hexsolve.solver.optimum.cpsat.objective import UNIT, largest_slowdown
from hexsolve.solver.optimum.cpsat.scope import Scope
from hexsolve.solver.optimum.cpsat.variables import Phase, Variables, make_variables
from hexsolve.solver.optimum.timetable import Placed, Timetable

FAMILIES = (
    constraints.assignment,
    constraints.precedence,
    constraints.prefill_time,
    constraints.prefix_cache,
    constraints.prefill_one_at_a_time,
    constraints.transfer_and_decode_time,
    constraints.decode_slots_and_kv,
    constraints.prefill_kv,
    constraints.equal_instances,
    constraints.order_of_others,
)


def _by_decisions(parameters: SatParameters) -> None:
    """Decide on the least α first, and on the next when that is refuted."""
    parameters.use_objective_lb_search = True
    parameters.linearization_level = 0


def _by_decisions_with_lp(parameters: SatParameters) -> None:
    """Decide likewise, with the LP relaxation."""
    parameters.use_objective_lb_search = True


def _by_cores(parameters: SatParameters) -> None:
    """Assume the least α, and learn from the core of a refutation how far to go; without LP."""
    parameters.optimize_with_core = True
    parameters.linearization_level = 0


ASCENTS = (_by_decisions_with_lp, _by_cores, _by_decisions)
"""Ways to raise the bound. They close instances of 50 to 130 calls in seconds that CP-SAT leaves
open from above after minutes; which of them does it first differs."""

EDGE_FINDING = 250
"""Calls on a resource up to which edge-finding is used: from 100 calls on CP-SAT by itself goes
without, and its bound on a tool-calling case of 121 stays at 1.6155 where 1.6230 is to be had."""

STOP_S = 0.1
"""How often a run asks whether to stop, s."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long CP-SAT may work: seconds, or its deterministic time; workers and seed.

    `stop` is asked from another thread, every `STOP_S` seconds, whether to end at once.
    """

    seconds: float
    deterministic: float | None = None
    workers: int = 1
    seed: int = 0
    stop: Callable[[], bool] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What CP-SAT found.

    Attributes
    ----------
    placed : dict of int to Placed, or None
        The calls of the kept workflows in the schedule found, if there is one.
    infeasible : bool
        Proven that there is none.
    bound : float
        No schedule of the scope has a smaller α; −inf if unknown. The scope's own α where it has
        no schedule at all.
    work : float
        Deterministic time used.
    optimal : bool
        The objective, with its rounding, was proven minimal.
    """

    placed: dict[int, Placed] | None
    infeasible: bool
    bound: float
    work: float
    optimal: bool = False


def ask(
    scope: Scope,
    effort: Effort,
    hint: Timetable | None = None,
    minimise_from: float | None = None,
    fix_hint: bool = False,
    ascent: int | None = None,
    linear: bool = True,
) -> Reply:
    """Return what CP-SAT finds within `scope`.

    Parameters
    ----------
    scope : Scope
    effort : Effort
    hint : Timetable, optional
        Gives every variable its first value.
    minimise_from : float, optional
        Minimise α, which is known to be at least this; left out, any schedule will do.
    fix_hint : bool
        Let every variable keep its hint: is it a solution?
    ascent : int, optional
        Minimise α from below by this one of the `ASCENTS`, which repeat: the bound climbs, and the
        first schedule found is the best. Left out: from above, by better and better schedules.
    linear : bool
        Solve the LP relaxation at the nodes. It sees the energy of optional calls, but some tests
        that take a minute with it take a tenth of a second without.
    """
    if scope.hopeless:
        return Reply(None, True, scope.alpha, 0.0)
    model = cp_model.CpModel()
    v = make_variables(model, scope)
    for family in FAMILIES:
        family(model, scope, v)
    if scope.around is None:
        energy(model, scope, v)
        joint_capacity(model, scope, v)
    if minimise_from is not None:
        largest_slowdown(model, scope, v, minimise_from)
    if hint is not None:
        add_hint(model, scope, v, hint)
    solver = cp_model.CpSolver()
    parameters = solver.parameters
    parameters.num_workers = effort.workers
    parameters.random_seed = effort.seed
    # A neighbourhood has few choices, and is done sooner without.
    parameters.linearization_level = int(linear and scope.around is None)
    if ascent is not None:
        ASCENTS[ascent % len(ASCENTS)](parameters)
    parameters.use_overload_checker_in_cumulative = True
    # Slots are what binds: drawn cases that stayed open in 5 s of a core close in half a second.
    parameters.use_timetable_edge_finding_in_cumulative = True
    parameters.max_num_intervals_for_timetable_edge_finding = EDGE_FINDING
    parameters.use_hard_precedences_in_cumulative = True
    parameters.exploit_all_precedences = True
    parameters.fix_variables_to_their_hinted_value = fix_hint
    parameters.max_time_in_seconds = effort.seconds
    if effort.deterministic is not None:
        parameters.max_deterministic_time = effort.deterministic
    # It would swallow a Ctrl-C that is for the whole search.
    parameters.catch_sigint_signal = False
    with _stopping(solver, effort.stop):
        status = solver.solve(model)
    work = solver.response_proto.deterministic_time
    bound = float("-inf")
    if minimise_from is not None and status != cp_model.INFEASIBLE:
        # A is α in whole units, rounded up: no schedule has UNIT·α ≤ A − 1.
        bound = (solver.best_objective_bound - 1.0 - 1e-6) / UNIT
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Reply(read(scope, v, solver), False, bound, work, status == cp_model.OPTIMAL)
    if status == cp_model.MODEL_INVALID:
        raise AssertionError(model.validate())
    infeasible = status == cp_model.INFEASIBLE
    return Reply(None, infeasible, scope.alpha if infeasible else bound, work)


def add_hint(model: cp_model.CpModel, scope: Scope, v: Variables, hint: Timetable) -> None:
    """Give every variable its value in `hint`, equal instances in the order of their first use."""
    problem = scope.problem
    kept = {
        w: max(hint[c].finish for c in problem.of(w)) <= end for w, end in scope.deadline.items()
    }
    same = _first_use(scope, hint, kept)
    frozen: Set[int] = frozenset() if scope.around is None else scope.around.frozen
    taken: dict[tuple[Phase, int], tuple[int, int]] = {}
    for c in scope.calls:
        if c in frozen:
            continue
        placed, call = hint[c], problem.calls[c]
        there = kept[call.workflow] or not v.keep
        p = scope.rows[scope.row_of[same[placed.option.p]]][0]
        column = scope.columns[scope.column_of[placed.d]][0] if placed.d >= 0 else -1
        # A call of a spared workflow takes no time, and has its head as its place in time.
        head, done = scope.windows.head[c], scope.windows.done[c]
        model.add_hint(v.start[c], placed.start if there else head)
        model.add_hint(v.finish[c], placed.finish if there else done)
        prefilled = v.prefilled[c]
        if isinstance(prefilled, cp_model.IntVar):
            model.add_hint(prefilled, placed.prefilled if there else head)
        sent = v.sent[c]
        if sent is not v.prefilled[c] and isinstance(sent, cp_model.IntVar):
            model.add_hint(sent, placed.sent if there else head)
        for k, (uses, option) in enumerate(zip(v.chosen[c], scope.prefills[c], strict=True)):
            chosen = option.p == p and option.source == placed.option.source and there
            model.add_hint(uses, chosen)
            if chosen:
                taken["prefill", c] = placed.start, k
        for k, (uses, (d, _)) in enumerate(zip(v.decoded[c], scope.decodes[c], strict=True)):
            model.add_hint(uses, d == column and there)
            if d == column and there:
                taken["decode", c] = placed.sent, k
    add_joint_hints(model, v, taken)
    for w, keeps in v.keep.items():
        model.add_hint(keeps, kept[w])
    if v.scale is not None:
        ends = [(w, max(hint[c].finish for c in problem.of(w))) for w in kept if kept[w]]
        worst = max((problem.slowdown(w, end) for w, end in ends), default=scope.alpha)
        model.add_hint(v.scale, min(math.ceil(worst * UNIT), math.ceil(scope.alpha * UNIT) + 1))


def _first_use(scope: Scope, hint: Timetable, kept: dict[int, bool]) -> dict[int, int]:
    """Return for each prefill instance the one to take its place; see `equal_instances`."""
    if scope.around is not None:
        return {p: p for p in scope.problem.prefill_rows}
    kinds = scope.problem.kinds
    free: dict[int, list[int]] = {}
    for p in scope.problem.prefill_rows:
        free.setdefault(kinds[p], []).append(p)
    same: dict[int, int] = {}
    for c in scope.calls:
        p = hint[c].option.p
        if p not in same and kept[scope.problem.calls[c].workflow]:
            same[p] = free[kinds[p]].pop(0)
    for p in scope.problem.prefill_rows:
        if p not in same:
            same[p] = free[kinds[p]].pop(0)
    return same


@contextmanager
def _stopping(solver: cp_model.CpSolver, stop: Callable[[], bool] | None) -> Iterator[None]:
    """End the run of `solver` inside once `stop` says so."""
    if stop is None:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        while not done.wait(STOP_S):
            if stop():
                # Again and again: a solver that has not begun yet forgets it.
                solver.stop_search()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def read(scope: Scope, v: Variables, solver: cp_model.CpSolver) -> dict[int, Placed]:
    """Return the calls of kept workflows, spread over equal instances."""
    rows: dict[int, Placed] = {}
    for c in scope.calls:
        chosen = [
            option
            for uses, option in zip(v.chosen[c], scope.prefills[c], strict=True)
            if solver.boolean_value(uses)
        ]
        if not chosen:
            continue
        d = next(
            (
                d
                for uses, (d, _) in zip(v.decoded[c], scope.decodes[c], strict=True)
                if solver.boolean_value(uses)
            ),
            -1,
        )
        start, finish = solver.value(v.start[c]), solver.value(v.finish[c])
        prefilled, sent = solver.value(v.prefilled[c]), solver.value(v.sent[c])
        if d < 0:
            finish = sent = prefilled
        rows[c] = Placed(chosen[0], d, start, prefilled, sent, finish)
    _spread(scope, rows)
    return rows


def _spread(scope: Scope, rows: dict[int, Placed]) -> None:
    """Deal intervals of a group out to its instances, by start: a group's limit suffices."""
    problem = scope.problem
    free = dict.fromkeys(problem.prefill_rows, 0)
    used: dict[int, list[int]] = {d: [] for d in problem.decode_rows}
    for c in sorted(rows, key=lambda c: (rows[c].start, rows[c].option.occupied, c)):
        placed = rows[c]
        members = scope.rows[scope.row_of[placed.option.p]]
        p = min(members, key=lambda p: (max(free[p] - placed.start, 0), p))
        free[p] = max(free[p], placed.start + placed.option.occupied)
        option = next(
            option
            for option in problem.calls[c].prefills
            if option.p == p and option.source == placed.option.source
        )
        rows[c] = Placed(
            option, placed.d, placed.start, placed.prefilled, placed.sent, placed.finish
        )
    for c in sorted(rows, key=lambda c: (rows[c].sent, rows[c].finish, c)):
        placed = rows[c]
        if placed.d < 0:
            continue
        members = scope.columns[scope.column_of[placed.d]]
        for d in members:
            used[d] = [end for end in used[d] if end > placed.sent]
        d = min(members, key=lambda d: (len(used[d]) - problem.slots[d], d))
        # Finish no later than needed: the transfer's link or the interval may have left slack.
        times = dict(problem.calls[c].decodes)
        finish = placed.sent + problem.calls[c].lag(placed.option.p, d) + times[d]
        used[d].append(finish)
        rows[c] = Placed(placed.option, d, placed.start, placed.prefilled, placed.sent, finish)
