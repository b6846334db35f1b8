"""Why a plan is not better: what limits its instances, and what more hardware would bring."""

from dataclasses import dataclass, replace

from hexsolve.models.answer import Gain
from hexsolve.models.plan import Plan
from hexsolve.solver.backends import Budget
from hexsolve.solver.backends.highs import HiGHS
from hexsolve.solver.placement.formulation import Formulation, Variation
from hexsolve.solver.placement.relaxation import Relaxation
from hexsolve.solver.placement.search import search
from hexsolve.solver.placement.solve import Solution
from hexsolve.solver.placement.task import Task

RESOURCES = {
    "prefill_wait": "prefill compute",
    "prefill_utilisation": "prefill compute",
    "prefill_cycle": "prefill compute",
    "prefill_cycle_wait": "prefill compute",
    "prefill_token_budget": "prefill batch size",
    "prefill_kv": "KV memory for prefill",
    "decode_step": "decode compute",
    "decode_batch": "decode batch size",
    "decode_kv": "KV memory for decode",
    "mixed_share": "prefill compute",
    "mixed_wait": "prefill compute",
    "mixed_utilisation": "prefill compute",
    "mixed_step": "decode compute",
    "mixed_batch": "decode batch size",
    "mixed_kv": "KV memory of mixed instances",
    "link": "network between instances",
}


SHOWN = 0.05
"""Least elasticity that is not 0.0 in words."""


@dataclass(frozen=True)
class Bottleneck:
    """What limits the instances of a plan.

    Attributes
    ----------
    headroom : float
        Largest load that these instances could carry at the plan's SLO scale.
    shares : dict of str to float
        Resource → its share in the limit: 1 % more of a resource with share 0.6 allows 0.6 %
        more load. Sums to 1.
    scale_elasticity : float or None
        % more load from an SLO scale looser by 1 %; None without an SLO scale.
    """

    headroom: float
    shares: dict[str, float]
    scale_elasticity: float | None

    def text(self) -> str:
        """Return the finding in one or two sentences."""
        if not self.shares:
            return "nothing: no instance is needed"
        named = [f"{name} ({share:.0%})" for name, share in self.shares.items() if share >= 0.005]
        first, *others = named
        words = f"limited by {first}"
        if others:
            words += ", then " + ", ".join(others)
        if self.scale_elasticity is not None and self.scale_elasticity >= SHOWN:
            words += (
                f"; latency-bound as well: an SLO scale looser by 1 % would allow "
                f"{self.scale_elasticity:.1f} % more load"
            )
        return words


def bottleneck(solution: Solution, budget: Budget | None = None) -> Bottleneck | None:
    """Return what limits the plan's own instances, from the LP with counts fixed.

    Maximising θ over the flows alone, every rule is ``usage · flow ≤ count``, so by duality
    ``θ = Σ −dual · count``: the terms of the sum are the shares.
    """
    plan, task = solution.plan, solution.task
    if plan is None:
        return None
    counts = {
        column: round(variable.varValue or 0.0)
        for column, variable in solution.found.formulation.count.items()
    }
    chosen = [column for column, count in counts.items() if count >= 1]
    problem = task.problem
    scale = problem.slo_scale
    if task.objective == "slo":
        # A hair looser than the optimum, where every instance would be forced to one flow.
        scale = plan.slo_scale * (1.0 + 1e-6)
    formulation = Formulation(
        problem.model_copy(update={"slo_scale": scale}),
        task.traffic,
        task.candidates,
        "load",
        Variation(
            ignore=frozenset({"inventory", "budget"}),
            counts={column: counts[column] for column in chosen},
        ),
        chosen,
    )
    run = HiGHS().relax(formulation.model, budget or Budget(time_s=10.0))
    if run.objective is None or run.objective <= 0:
        return None
    keys = {task.candidates[column].key: column for column in chosen}
    shares: dict[str, float] = {}
    elasticity = 0.0
    rows = zip(formulation.rows.items(), formulation.model.constraints(), strict=True)
    for (name, row), solved in rows:
        dual = -float(solved.pi or 0.0)
        rule, _, key = name.rpartition("_")
        if rule in RESOURCES and key in keys:
            share = dual * formulation.unit * counts[keys[key]] / run.objective
            if share > 1e-6:
                resource = RESOURCES[rule]
                shares[resource] = shares.get(resource, 0.0) + share
        elif name.startswith("path_deadline_"):
            # the row is ``end − α·H·θ ≤ 0``: 1 % more α moves its right side by 1 % of α·H·θ
            allowed = -sum(value for variable, value in row.terms if variable.name == "load")
            elasticity += dual * allowed / row.unit
    ordered = dict(sorted(shares.items(), key=lambda item: -item[1]))
    return Bottleneck(run.objective, ordered, elasticity if scale is not None else None)


def estimated_gains(task: Task, relaxation: Relaxation) -> tuple[Gain, ...]:
    """Return what one more GPU or node of each type would bring, from the LP's dual prices.

    The LP's value is concave in the inventory (convex where it is minimised), so that no plan
    gains more than the estimate plus what the plan at hand is short of the LP.
    """
    gains = []
    formulation = task.formulation([])
    for pool in task.problem.cluster.pools:
        gpu, node = formulation.inventory_prices(pool.gpu, relaxation.duals)
        gains.append(Gain(gpu=pool.gpu, one_gpu=gpu, one_node=node, exact=False))
    return tuple(gains)


def exact_gains(solution: Solution, budget: Budget) -> tuple[Gain, ...]:
    """Return the same by solving again with the node or GPU added; None where time ran out.

    Every run gets the whole time limit of `budget`.
    """
    reached = solution.outcome.objective
    if reached is None:
        return ()
    better = 1.0 if solution.task.objective == "load" else -1.0
    task = solution.task
    gains = []
    for pool in task.problem.cluster.pools:
        found: list[float | None] = []
        for extra in ((1, 1), (1, pool.gpus_per_node)):
            varied = replace(task, variation=Variation(extra_nodes={pool.gpu: extra}))
            run = search(varied, _fresh(budget)).run
            gain = None if run.objective is None else better * (run.objective - reached)
            found.append(None if gain is None else max(0.0, gain))
        gains.append(Gain(gpu=pool.gpu, one_gpu=found[0], one_node=found[1], exact=True))
    return tuple(gains)


def _fresh(budget: Budget) -> Budget:
    """Return the same budget with its clock started now and without progress."""
    return Budget(time_s=budget.time_s, gap=budget.gap, threads=budget.threads, grid=budget.grid)


def extrapolations(plan: Plan, task: Task) -> tuple[str, ...]:
    """Return which engines and classes of a plan lie outside what was measured, in words."""
    notes: list[str] = []
    engines = {(e.gpu, e.tp, e.pp): e for e in task.problem.engines}
    calls = {(flow.name, call.name): call for flow, call in task.traffic.calls}
    for group in plan.groups:
        engine = engines[group.gpu, group.tp, group.pp]
        label = f"{engine.llm} on {group.gpu} tp={group.tp} pp={group.pp}"
        if engine.origin == "roofline" or engine.measured is None:
            notes.append(f"{label}: latencies extrapolated (roofline), not measured")
            continue
        for flow in group.flows:
            call = calls[flow.workflow, flow.call]
            where = f"{flow.workflow}/{flow.call}"
            prefills = group.role != "decode"
            if prefills and engine.measured.prefill_extrapolates(
                call.new_tokens, call.cached_tokens
            ):
                notes.append(
                    f"{label}: prefill of {where} ({call.new_tokens:,.0f} new, "
                    f"{call.cached_tokens:,.0f} cached tokens) is outside the measured range"
                )
            context = call.prompt_tokens + call.output_tokens / 2.0
            if group.role != "prefill" and engine.measured.decode_extrapolates(1, context):
                notes.append(
                    f"{label}: decode of {where} at {context:,.0f} context tokens is outside the "
                    "measured range"
                )
    return tuple(dict.fromkeys(notes))
