"""Plan a problem: candidates, search, plan, and the checker's word on it."""

import math
import time
from dataclasses import dataclass

import pulp

from hexsolve.models.check import check_plan
from hexsolve.models.errors import HexsolveError, InputError
from hexsolve.models.plan import Objective, Plan
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.standalone import buildable, call_seconds
from hexsolve.models.workload import CallClass, WorkflowClass
from hexsolve.solver.backends import Budget, Run, backend
from hexsolve.solver.placement.extract import extract_plan
from hexsolve.solver.placement.formulation import Formulation
from hexsolve.solver.placement.grid import candidate_groups
from hexsolve.solver.placement.repair import repaired
from hexsolve.solver.placement.search import search
from hexsolve.solver.placement.task import Found, Task
from hexsolve.solver.placement.traffic import Traffic
from hexsolve.solver.result import Limit, Outcome, Status, derive_status


class CheckFailedError(HexsolveError):
    """The solver's own plan broke a rule: a bug, never the user's mistake."""


@dataclass(frozen=True)
class Solution:
    """A plan with its proof; `plan` is None when there is none."""

    outcome: Outcome
    plan: Plan | None
    task: Task
    found: Found


def make_task(problem: PlanningProblem, objective: Objective, density: int = 1) -> Task:
    """Return the task of planning a problem: its traffic and all candidate groups.

    Raises
    ------
    InputError
        A call that no engine can serve at any load; its workflow has no standalone horizon.
    """
    traffic = Traffic.of(problem)
    for workflow, call in traffic.calls:
        if math.isinf(call_seconds(problem, call)):
            raise InputError(_unservable(problem, workflow, call))
    load = None if objective == "load" else problem.load
    candidates = candidate_groups(problem, traffic, load, density=density)
    return Task(problem, traffic, candidates, objective)


def _unservable(problem: PlanningProblem, workflow: WorkflowClass, call: CallClass) -> str:
    name = f"call class {call.name!r} of workflow {workflow.name!r}"
    if "mixed" not in problem.roles and not {"prefill", "decode"} <= set(problem.roles):
        return f"roles {', '.join(problem.roles)} leave {name} without prefill or without decode"
    engines = buildable(problem)
    if not engines:
        return f"cluster {problem.cluster.name!r} has no room for any engine of the LLM"
    largest = max(engines, key=lambda engine: engine.kv_capacity_tokens)
    return (
        f"{name} needs {call.prompt_tokens + call.output_tokens:,.0f} tokens of KV memory; the "
        f"largest engine, {largest.gpu} tp={largest.tp} pp={largest.pp}, holds "
        f"{largest.kv_capacity_tokens:,}"
    )


def solve(
    problem: PlanningProblem,
    objective: Objective = "cost",
    budget: Budget | None = None,
    solver: str = "highs",
) -> Solution:
    """Find the best plan of a problem and prove how good it is.

    Parameters
    ----------
    problem : PlanningProblem
    objective : {"load", "cost", "slo"}
        Most load, least US$/h, or least SLO scale.
    budget : Budget, optional
        Time limit, allowed gap, threads and progress callback.
    solver : {"highs", "cbc", "scip"}

    Raises
    ------
    InputError
        A call that no engine can serve at any load.
    CheckFailedError
        The plan does not pass the independent checker.
    """
    budget = budget or Budget()
    started = time.perf_counter()
    task = make_task(problem, objective, budget.grid)
    found = search(task, budget, solver)
    plan = None
    if found.run.objective is not None:
        plan = _verified(task, _trimmed(found.formulation, budget), budget)
    outcome = _outcome(found.run, plan, objective, time.perf_counter() - started, solver)
    return Solution(outcome, plan, task, found)


def _trimmed(formulation: Formulation, budget: Budget) -> Formulation:
    """Return the same solution without instances it does not need.

    For `load` and `slo` instances cost nothing, and a solver leaves idle ones in the plan. The
    counts become upper bounds, load and scale are kept, and cost is minimised.
    """
    if formulation.objective == "cost" or formulation.bought:
        return formulation
    target = formulation.load if formulation.objective == "load" else formulation.scale
    assert isinstance(target, pulp.LpVariable)
    model = formulation.model
    values = {variable.name: variable.varValue for variable in model.variables()}
    for variable in formulation.count.values():
        variable.upBound = round(variable.varValue or 0.0)
    if formulation.objective == "load":
        target.lowBound = target.varValue * (1.0 - 1e-9)
    else:
        target.upBound = target.varValue * (1.0 + 1e-9)
    kept, sense = model.objective, model.sense
    model.sense = pulp.LpMinimize
    model.setObjective(pulp.LpAffineExpression(formulation.cost_terms()))
    model.hexsolve_start = {name: float(value or 0.0) for name, value in values.items()}
    limit = Budget(time_s=min(5.0, budget.time_s), gap=1e-6, threads=budget.threads)
    run = backend("highs").solve(model, limit)
    if run.objective is None:
        for variable in model.variables():
            variable.varValue = values[variable.name]
    model.sense = sense
    model.setObjective(kept)
    return formulation


def as_checked(problem: PlanningProblem, objective: Objective) -> PlanningProblem:
    """Return the problem whose rules a plan must meet: minimising the scale replaces its limit."""
    if objective == "slo":
        return problem.model_copy(update={"slo_scale": None})
    return problem


def _verified(task: Task, formulation: Formulation, budget: Budget) -> Plan:
    """Return the plan of a solved formulation once the checker has passed it.

    Solvers keep rows to an absolute tolerance. Where that is more than the checker grants, the
    plan is repaired and checked again.
    """
    problem = as_checked(task.problem, task.objective)
    plan = extract_plan(formulation)
    violations = check_plan(problem, plan)
    if violations:
        mended = repaired(task, formulation, Budget(time_s=10.0, threads=budget.threads))
        if mended is not None and not check_plan(problem, mended):
            return mended
        listed = "; ".join(str(violation) for violation in violations[:3])
        raise CheckFailedError(
            f"the solver's plan breaks {len(violations)} of the checker's rules: {listed}"
        )
    return plan


def _outcome(
    run: Run, plan: Plan | None, objective: Objective, runtime_s: float, solver: str
) -> Outcome:
    value = None
    if plan is not None:
        value = {"load": plan.load, "cost": plan.cost_per_hour, "slo": plan.slo_scale}[objective]
    if run.infeasible:
        status = Status.INFEASIBLE
    elif run.unbounded:
        status = Status.UNBOUNDED
    else:
        status = derive_status(value, run.bound)
    limit = run.limit
    if status is Status.OPTIMAL:
        limit = Limit.NONE
    elif status is Status.FEASIBLE and limit is Limit.NONE:
        # The search ended by itself before the two numbers met: it was allowed the gap.
        limit = Limit.GAP
    return Outcome(
        status=status,
        limit=limit,
        objective=value,
        bound=run.bound,
        runtime_s=runtime_s,
        solver=solver,
    )
