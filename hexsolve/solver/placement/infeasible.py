"""Infeasible is an answer: which constraint groups clash, and the least change that helps."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from hexsolve.models.answer import Change
from hexsolve.models.plan import Objective
from hexsolve.models.problem import PlanningProblem
from hexsolve.solver.backends import Budget
from hexsolve.solver.placement.formulation import Variation
from hexsolve.solver.placement.grid import candidate_groups
from hexsolve.solver.placement.search import search
from hexsolve.solver.placement.task import Found, Task
from hexsolve.solver.placement.traffic import Traffic

GROUPS = {
    "inventory": "the GPUs there are",
    "budget": "the budget",
    "path": "the SLO scale",
    "ttft": "the limits on time to first token",
    "tpot": "the limits on time per output token",
    "kv": "the KV memory",
    "link": "the network",
}
# A feasible plan is all that is asked for; its objective may be anything.
ANY = 1e9
# Least changes are sought to 1 %: what is stated is enough, and at most 1 % more than needed.
CLOSE = 0.01
SLICES = 5.0
BISECTIONS = 10
LOOSEST = 1024.0


@dataclass(frozen=True)
class Diagnosis:
    """Why an instance is infeasible.

    Attributes
    ----------
    conflict : tuple of str
        A smallest set of constraint groups (keys of `GROUPS`) that cannot hold together with
        the load; empty if time ran out before it was known.
    changes : tuple of Change
        Least changes, each of which makes the instance feasible on its own.
    """

    conflict: tuple[str, ...]
    changes: tuple[Change, ...]

    def text(self) -> str:
        """Return the clash in words."""
        if not self.conflict:
            return "the load cannot be served (time ran out before the clash was narrowed down)"
        return "the load cannot be served within " + " and ".join(
            GROUPS[group] for group in self.conflict
        )


def diagnose(problem: PlanningProblem, budget: Budget) -> Diagnosis:
    """Find the clash by a deletion filter and the least changes by solving with one thing free.

    On the usual grid, which every finer one contains: what helps there helps anyway.

    Parameters
    ----------
    problem : PlanningProblem
        Proven infeasible for a given load.
    budget : Budget
        Its time limit holds for all the runs together.
    """
    return Diagnosis(_conflict(problem, budget), tuple(_changes(problem, budget)))


def _solved(
    problem: PlanningProblem,
    budget: Budget,
    objective: Objective = "cost",
    variation: Variation | None = None,
    gap: float = ANY,
) -> Found:
    variation = variation or Variation()
    traffic = Traffic.of(problem)
    load = None if objective == "load" else problem.load
    candidates = candidate_groups(problem, traffic, load, variation.ignore)
    task = Task(problem, traffic, candidates, objective, variation)
    # Each question gets a share of the time, so that one hard one does not silence the others.
    time_s = min(budget.left_s, budget.time_s / SLICES)
    return search(task, Budget(time_s=time_s, gap=gap, threads=budget.threads))


def _present(problem: PlanningProblem) -> list[str]:
    classes = problem.workload.classes
    there = {
        "budget": problem.budget_per_hour is not None,
        "path": problem.slo_scale is not None,
        "ttft": any(flow.ttft_limit_s is not None for flow in classes),
        "tpot": any(flow.tpot_limit_s is not None for flow in classes),
    }
    return [group for group in GROUPS if there.get(group, True)]


def _conflict(problem: PlanningProblem, budget: Budget) -> tuple[str, ...]:
    """Drop every group whose absence does not make the rest feasible; what remains clashes."""
    needed = _present(problem)
    ignored: list[str] = []
    for group in list(needed):
        trial = frozenset([*ignored, group])
        run = _solved(problem, budget, variation=Variation(ignore=trial)).run
        if run.infeasible:
            ignored.append(group)
            needed.remove(group)
        elif run.objective is None:
            return ()
    return tuple(needed)


def _changes(problem: PlanningProblem, budget: Budget) -> list[Change]:
    found = [
        _less_load(problem, budget),
        _looser_scale(problem, budget),
        _more_money(problem, budget),
        *_more_gpus(problem, budget),
        _looser_limit(problem, budget, "ttft_limit_s", "time to first token"),
        _looser_limit(problem, budget, "tpot_limit_s", "time per output token"),
    ]
    return [change for change in found if change is not None]


def _less_load(problem: PlanningProblem, budget: Budget) -> Change | None:
    best = _solved(problem, budget, "load", gap=CLOSE).run.objective
    if best is None or best <= 1e-6 * problem.load:
        return None
    return Change(
        what="load",
        now=problem.load,
        needed=best,
        unit="× the stated rates",
        text=f"serve {_down(best)}× the stated rates instead of {problem.load:g}×",
    )


def _looser_scale(problem: PlanningProblem, budget: Budget) -> Change | None:
    if problem.slo_scale is None:
        return None
    best = _solved(problem, budget, "slo", gap=CLOSE).run.objective
    if best is None:
        return None
    return Change(
        what="slo_scale",
        now=problem.slo_scale,
        needed=best,
        unit="× standalone horizon",
        text=f"accept an SLO scale of {_up(best)} instead of {problem.slo_scale:g}",
    )


def _more_money(problem: PlanningProblem, budget: Budget) -> Change | None:
    limit = problem.budget_per_hour
    if limit is None:
        return None
    variation = Variation(ignore=frozenset({"budget"}))
    best = _solved(problem, budget, variation=variation, gap=CLOSE).run.objective
    if best is None:
        return None
    cents = math.ceil(best * 100.0 - 1e-6) / 100.0
    return Change(
        what="budget_per_hour",
        now=limit,
        needed=best,
        unit="US$/h",
        text=f"raise the budget by {cents - limit:,.2f} to {cents:,.2f} US$/h",
    )


def _more_gpus(problem: PlanningProblem, budget: Budget) -> list[Change]:
    """Return the fewest GPUs to add: of any types together, and of each type alone."""
    pools = problem.cluster.pools
    choices = [frozenset(pool.gpu for pool in pools)] if len(pools) > 1 else []
    choices += [frozenset({pool.gpu}) for pool in pools]
    changes = []
    for types in choices:
        found = _solved(problem, budget, variation=Variation(buy=types), gap=CLOSE)
        if found.run.objective is None:
            continue
        size = {pool.gpu: pool.gpus_per_node for pool in pools}
        nodes = {
            gpu: round(variable.varValue or 0.0)
            for gpu, variable in found.formulation.bought.items()
        }
        listed = " and ".join(
            f"{count} node{'s' if count > 1 else ''} of {size[gpu]} {gpu}"
            for gpu, count in nodes.items()
            if count
        )
        total = sum(size[gpu] * count for gpu, count in nodes.items())
        if total:
            changes.append(
                Change(
                    what="gpus" if len(types) > 1 else f"gpus.{min(types)}",
                    now=float(problem.cluster.gpus),
                    needed=float(problem.cluster.gpus + total),
                    unit="GPUs",
                    text=f"add {listed}",
                )
            )
    return changes


def _looser_limit(
    problem: PlanningProblem, budget: Budget, field: str, words: str
) -> Change | None:
    """Return the least common factor on a limit of all classes, by bisection to 1 %."""
    limits = [getattr(flow, field) for flow in problem.workload.classes]
    given = [limit for limit in limits if limit is not None]
    if not given or not _feasible(_with_limits(problem, field, LOOSEST), budget):
        return None
    low, high = 1.0, LOOSEST
    for _ in range(BISECTIONS + 4):
        if high / low <= 1.01:
            break
        middle = (low * high) ** 0.5
        if _feasible(_with_limits(problem, field, middle), budget):
            high = middle
        else:
            low = middle
    return Change(
        what=field,
        now=min(given),
        needed=min(given) * high,
        unit="s",
        text=f"allow a {words} of {_up(min(given) * high)} s instead of {min(given):g} s"
        + (f" (all such limits × {_up(high)})" if len(given) > 1 else ""),
    )


def _with_limits(problem: PlanningProblem, field: str, factor: float) -> PlanningProblem:
    classes = tuple(
        flow.model_copy(update={field: getattr(flow, field) * factor})
        if getattr(flow, field) is not None
        else flow
        for flow in problem.workload.classes
    )
    workload = problem.workload.model_copy(update={"classes": classes})
    return problem.model_copy(update={"workload": workload})


def _feasible(problem: PlanningProblem, budget: Budget) -> bool:
    return _solved(problem, budget).run.objective is not None


def _up(value: float) -> str:
    """Return a number with four digits, rounded up so that it is enough."""
    return _rounded(value, math.ceil)


def _down(value: float) -> str:
    """Return a number with four digits, rounded down so that it is not too much."""
    return _rounded(value, math.floor)


def _rounded(value: float, rounding: Callable[[float], int]) -> str:
    # A relative 1e-6, the optimality tolerance, is no reason to go to the next digit.
    unit = 10.0 ** (math.floor(math.log10(value)) - 3)
    slack = -1e-6 if rounding is math.ceil else 1e-6
    return f"{rounding(value * (1.0 + slack) / unit) * unit:.4g}"
