"""From a solution to the answer file: proof, plan, and why it is not better."""

from hexsolve import __version__
from hexsolve.models.answer import Answer, Gain, count_instances, problem_hash
from hexsolve.models.check import check_answer
from hexsolve.models.context import beyond_context
from hexsolve.models.plan import Objective
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.proven import Parameter
from hexsolve.models.status import Limit, Status, relative_gap
from hexsolve.solver.backends import Budget
from hexsolve.solver.placement.explain import (
    bottleneck,
    estimated_gains,
    exact_gains,
    extrapolations,
)
from hexsolve.solver.placement.infeasible import diagnose
from hexsolve.solver.placement.solve import CheckFailedError, Solution, solve


def answer(
    problem: PlanningProblem,
    objective: Objective = "cost",
    budget: Budget | None = None,
    solver: str = "highs",
    what_if: bool = False,
) -> Answer:
    """Plan a problem and explain the result.

    Parameters
    ----------
    problem : PlanningProblem
    objective : {"load", "cost", "slo"}
    budget : Budget, optional
        For the plan itself; the explanation of an infeasible instance gets as much again.
    solver : {"highs", "cbc", "scip"}
    what_if : bool
        Whether to solve again with one more GPU and node of each type; otherwise their gains
        are estimated from the LP's dual prices.

    Raises
    ------
    CheckFailedError
        The answer does not pass the independent checker.
    """
    budget = budget or Budget()
    solution = solve(problem, objective, budget, solver)
    outcome = solution.outcome
    common = {
        "hexsolve_version": __version__,
        "instance_name": problem.name,
        "instance_hash": problem_hash(problem),
        "parameters": _parameters(budget, solver, what_if),
        "status": outcome.status,
        "limit": outcome.limit,
        "objective_kind": objective,
        "objective": outcome.objective,
        "bound": outcome.bound,
        "gap": relative_gap(outcome.objective, outcome.bound),
        "runtime_s": outcome.runtime_s,
        "solver": solver,
        "warnings": beyond_context(problem),
    }
    if objective == "load" and solution.found.carries_nothing:
        # No load at all: which limits that is due to is what the user wants to know.
        nothing: dict[str, object] = {"status": Status.INFEASIBLE, "limit": Limit.NONE}
        nothing |= {"objective": None, "bound": None, "gap": None}
        return Answer(**(common | nothing), **_failure(problem, budget))
    if solution.plan is None:
        if outcome.status is Status.INFEASIBLE:
            return Answer(**common, **_failure(problem, budget))
        when = "before Ctrl-C" if outcome.limit is Limit.INTERRUPT else "within the time limit"
        return Answer(**common, bottleneck=f"no plan was found {when}")
    limits = bottleneck(solution)
    made = Answer(
        **common,
        cost_per_hour=solution.plan.cost_per_hour,
        instances=count_instances(solution.plan),
        bottleneck="" if limits is None else limits.text(),
        bottleneck_shares={} if limits is None else limits.shares,
        load_headroom=None if limits is None else limits.headroom,
        scale_elasticity=None if limits is None else limits.scale_elasticity,
        gains=_gains(solution, budget, what_if),
        extrapolated=extrapolations(solution.plan, solution.task),
        plan=solution.plan,
    )
    violations = check_answer(problem, made)
    if violations:
        listed = "; ".join(str(violation) for violation in violations[:3])
        raise CheckFailedError(f"the answer breaks {len(violations)} of the rules: {listed}")
    return made


def _parameters(budget: Budget, solver: str, what_if: bool) -> dict[str, Parameter]:
    return {
        "time_limit_s": budget.time_s,
        "gap": budget.gap,
        "threads": budget.threads,
        "solver": solver,
        "what_if": what_if,
        "grid": budget.grid,
    }


def _gains(solution: Solution, budget: Budget, what_if: bool) -> tuple[Gain, ...]:
    if what_if:
        return exact_gains(solution, budget)
    relaxation = solution.found.relaxation
    if relaxation is None or not relaxation.duals:
        return ()
    return possible_gains(estimated_gains(solution.task, relaxation), solution)


def possible_gains(gains: tuple[Gain, ...], solution: Solution) -> tuple[Gain, ...]:
    """Return estimated gains, none larger than what there is to gain.

    A price in the LP holds for a little more hardware, and a whole node may be much more: no SLO
    scale falls below 1, and no cost below 0.
    """
    reached = solution.outcome.objective
    if reached is None or solution.task.objective == "load":
        return gains
    most = max(0.0, reached - (1.0 if solution.task.objective == "slo" else 0.0))

    def capped(value: float | None) -> float | None:
        return None if value is None else min(value, most)

    return tuple(
        gain.model_copy(update={"one_gpu": capped(gain.one_gpu), "one_node": capped(gain.one_node)})
        for gain in gains
    )


def _failure(problem: PlanningProblem, budget: Budget) -> dict[str, object]:
    fresh = Budget(time_s=max(budget.time_s, 30.0), threads=budget.threads)
    diagnosis = diagnose(problem, fresh)
    return {
        "bottleneck": diagnosis.text(),
        "conflict": diagnosis.conflict,
        "changes": diagnosis.changes,
    }
