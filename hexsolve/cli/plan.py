"""``hexsolve plan``: which GPUs become prefill, decode or mixed instances, with proof."""

from pathlib import Path
from typing import get_args

import click

from hexsolve.cli import solver_options
from hexsolve.cli.exit_codes import INFEASIBLE, NOTHING_FOUND
from hexsolve.cli.instance_options import check_output
from hexsolve.cli.interrupt import stopping_on_interrupt
from hexsolve.cli.numbers import FiniteFloat
from hexsolve.cli.plan_screen import show_answer
from hexsolve.cli.progress import solving
from hexsolve.instances.files import write_text
from hexsolve.instances.overrides import Overrides
from hexsolve.instances.resolve import load_problem
from hexsolve.models.errors import InputError
from hexsolve.models.plan import Objective
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.status import Status

# Ranges as in an instance file.
SCALE = FiniteFloat(min=1.0, max=1e12)
FACTOR = FiniteFloat(min=1e-9, max=1e12)
LOAD = FiniteFloat(min=1e-3, max=1e6)

INSTEAD = "in place of the instance's"


@click.command("plan", epilog="Example: hexsolve plan my.yaml --objective cost -o plan.json")
@click.argument("instance", required=False, type=click.Path(path_type=Path))
@click.option(
    "--objective",
    type=click.Choice(get_args(Objective)),
    default="cost",
    show_default=True,
    help="cost: least US$/h for the load; load: most load; slo: least SLO scale.",
)
@solver_options.time_limit(default=120.0, per="the solver")
@solver_options.gap(default=1e-3)
@click.option(
    "--solver",
    type=click.Choice(["highs", "cbc", "scip"]),
    default="highs",
    show_default=True,
    help="cbc and scip are for cross-checks and slower.",
)
@solver_options.threads()
@solver_options.grid()
@click.option(
    "--slo-scale",
    type=SCALE,
    help=f"Mean workflow latency allowed, in multiples of the time alone, {INSTEAD}.",
)
@click.option("--load", type=LOAD, help=f"Factor on all arrival rates, {INSTEAD}.")
@click.option("--budget-per-hour", type=FACTOR, help=f"US$/h allowed, {INSTEAD}.")
@click.option(
    "--what-if", is_flag=True, help="Solve again with one more GPU and node of each type."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the answer (JSON).")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON on stdout.")
@click.option(
    "--export-model",
    type=click.Path(path_type=Path),
    metavar="FILE.lp|FILE.mps",
    help="Write the MILP and do not solve it.",
)
@click.option(
    "--simulate", "simulated", is_flag=True, help="Simulate the plan and compare its promises."
)
@click.option(
    "--workflows",
    type=click.IntRange(1, 1_000_000),
    help="How many to simulate. Left out: enough for a run much longer than they take.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the simulation."
)
@click.option(
    "--policy",
    default="planned",
    show_default=True,
    help="Of the simulation; planned: random split by the plan's flows, as the plan assumes.",
)
@click.pass_context
def plan(
    ctx: click.Context,
    instance: Path | None,
    objective: Objective,
    time_limit: float,
    gap: float,
    solver: str,
    threads: int,
    grid: int,
    slo_scale: float | None,
    load: float | None,
    budget_per_hour: float | None,
    what_if: bool,
    output: Path | None,
    as_json: bool,
    export_model: Path | None,
    simulated: bool,
    workflows: int | None,
    seed: int,
    policy: str,
) -> None:
    """Plan which GPUs become prefill, decode or mixed instances.

    INSTANCE is a YAML or JSON file (`hexsolve instance generate` writes one); left out, the
    embedded example is planned. Exit code 0: a plan; 2: the input is wrong; 3: proven
    infeasible, with the least changes that help; 4: nothing found within the time limit or
    before Ctrl-C. Ctrl-C stops the search with the best plan found so far; again, it gives up
    (130). Targets given in place of the instance's are kept in the answer: `hexsolve check` and
    `hexsolve simulate` apply them too.
    """
    from hexsolve.solver.backends import Budget
    from hexsolve.solver.placement.report import answer

    if simulated:
        from hexsolve.solver.online.registry import check_policy

        check_policy(policy)
    for file in (output, export_model):
        check_output(file, instance)
    overrides = Overrides(slo_scale=slo_scale, load=load, budget_per_hour=budget_per_hour)
    problem = overrides.applied(load_problem(instance))
    if export_model is not None:
        unit = _export(problem, objective, grid, export_model)
        click.echo(f"wrote {export_model}; load and flows in units of {unit:.9g}", err=True)
        return
    with (
        stopping_on_interrupt() as stop,
        solving(f"planning {problem.name}", objective) as report,
    ):
        budget = Budget(time_limit, gap, threads, on_progress=report, stop=stop, grid=grid)
        made = overrides.recorded(answer(problem, objective, budget, solver, what_if))
    if simulated and made.plan is not None:
        from hexsolve.cli.plan_simulated import simulate_plan

        run = simulate_plan(problem, made.plan, workflows, seed, policy)
        made = made.model_copy(update={"simulation": run})
    text = made.model_dump_json(indent=2)
    if output is not None:
        write_text(output, text + "\n")
    if as_json:
        click.echo(text)
    else:
        show_answer(problem, made)
        if made.plan is not None and made.simulation is not None:
            from hexsolve.cli.plan_simulated import show_simulated

            show_simulated(made.plan, made.simulation)
        if output is not None:
            click.echo(f"wrote {output}", err=True)
    if made.status is Status.INFEASIBLE:
        ctx.exit(INFEASIBLE)
    if made.plan is None:
        ctx.exit(NOTHING_FOUND)


def _export(problem: PlanningProblem, objective: Objective, grid: int, path: Path) -> float:
    """Write the MILP in the format of the suffix; .mps minimises the negated load.

    Returns what its load and flows are multiples of (`Formulation.unit`).

    Raises
    ------
    InputError
        The suffix is neither .lp nor .mps, or the file cannot be written.
    """
    import pulp

    from hexsolve.solver.placement.solve import make_task

    suffix = path.suffix.lower()
    if suffix not in (".lp", ".mps"):
        raise InputError(f"has suffix {suffix!r}; allowed: .lp, .mps", source=str(path))
    formulation = make_task(problem, objective, grid).formulation()
    model = formulation.model
    try:
        if suffix == ".lp":
            model.writeLP(str(path))
        else:
            # MPS has no field for the sense that every reader knows: always a minimisation.
            model.writeMPS(str(path), mpsSense=pulp.LpMinimize)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", source=str(path)) from None
    return formulation.unit
