"""``hexsolve pareto``: what a tighter SLO scale costs."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hexsolve.cli import solver_options
from hexsolve.cli.exit_codes import INFEASIBLE, NOTHING_FOUND
from hexsolve.cli.interrupt import stopping_on_interrupt
from hexsolve.cli.screen import new_console, print_table
from hexsolve.instances.resolve import load_problem
from hexsolve.models.status import Status

if TYPE_CHECKING:
    from hexsolve.solver.placement.pareto import ParetoPoint

BAR = 24


@click.command("pareto", epilog="Example: hexsolve pareto my.yaml --points 6")
@click.argument("instance", required=False, type=click.Path(path_type=Path))
@click.option(
    "--points", type=click.IntRange(min=2, max=100), default=6, show_default=True, help="Plans."
)
@solver_options.time_limit(default=60.0, per="each plan")
@solver_options.gap(default=1e-2)
@solver_options.threads()
@solver_options.grid()
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
@click.pass_context
def pareto(
    ctx: click.Context,
    instance: Path | None,
    points: int,
    time_limit: float,
    gap: float,
    threads: int,
    grid: int,
    as_json: bool,
) -> None:
    """Show the least cost at every SLO scale, from any to the tightest possible.

    INSTANCE is a YAML or JSON file; left out, the embedded example is used. Its own slo_scale
    plays no part. Exit code 0: a front; 2: the input is wrong; 3: proven infeasible at any scale;
    4: nothing found within the time limit, or before Ctrl-C, which shows the plans found so far.
    """
    from hexsolve.solver.backends import Budget
    from hexsolve.solver.placement.pareto import pareto_front

    problem = load_problem(instance)
    console = Console(stderr=True)
    found: list[ParetoPoint] = []
    with stopping_on_interrupt() as stop, console.status("cheapest plan") as status:
        budget = Budget(time_s=time_limit, gap=gap, threads=threads, stop=stop, grid=grid)
        for point in pareto_front(problem, points, budget):
            found.append(point)
            status.update(f"{len(found)} of {points} plans")
        if stop():
            click.echo(f"interrupted: {len(found)} of {points} plans", err=True)
    if as_json:
        click.echo(json.dumps([_plain(point, grid) for point in found], indent=2))
    else:
        print_table(new_console(), _table(found))
    if found[0].plan is None:
        ctx.exit(INFEASIBLE if found[0].outcome.status is Status.INFEASIBLE else NOTHING_FOUND)


def _plain(point: "ParetoPoint", grid: int) -> dict[str, object]:
    outcome = point.outcome
    return {
        "slo_scale_allowed": point.slo_scale,
        "slo_scale": None if point.plan is None else point.plan.slo_scale,
        "cost_per_hour": outcome.objective,
        "bound": outcome.bound,
        "gap": outcome.gap,
        "status": outcome.status.value,
        "limit": outcome.limit.value,
        "runtime_s": outcome.runtime_s,
        "grid": grid,
        "gpus": _gpus(point),
    }


def _gpus(point: "ParetoPoint") -> dict[str, int]:
    """Return GPUs in use as ``role gpu`` → number."""
    used: Counter[str] = Counter()
    for group in () if point.plan is None else point.plan.groups:
        used[f"{group.role} {group.gpu}"] += group.gpus
    return dict(used)


def _table(found: "list[ParetoPoint]") -> Table:
    table = Table(title="What a tighter SLO scale costs", title_justify="left", box=box.SIMPLE)
    for name in ("Scale", "US$/h", "Gap"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, min_width=BAR)
    table.add_column("GPUs")
    costs = [point.outcome.objective or 0.0 for point in found]
    most = max([*costs, 1e-9])
    for point, cost in zip(found, costs, strict=True):
        scale = point.slo_scale if point.plan is None else point.plan.slo_scale
        gap = point.outcome.gap
        table.add_row(
            "any" if scale is None else f"{scale:.3f}",
            f"{cost:,.2f}" if point.plan is not None else point.outcome.status.value,
            "–" if gap is None else f"{gap:.2%}",
            "█" * round(BAR * cost / most),
            Text(", ".join(f"{number} {name}" for name, number in _gpus(point).items())),
        )
    return table
