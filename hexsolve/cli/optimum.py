"""``hexsolve optimum``: the best schedule with everything known, and how good it could be."""

import time
from pathlib import Path
from typing import Any, get_args

import click

from hexsolve.cli import solver_options
from hexsolve.cli.instance_options import check_output
from hexsolve.cli.interrupt import in_background, stopping_on_interrupt
from hexsolve.cli.numbers import FiniteFloat
from hexsolve.cli.progress import solving, telling_if_long
from hexsolve.cli.solver_options import cores
from hexsolve.instances.benchmark.certificates import schedule_from
from hexsolve.instances.benchmark.io import load_scheduling_instance
from hexsolve.instances.files import read_data, write_text
from hexsolve.models.errors import InputError
from hexsolve.models.schedule import Schedule, ScheduleObjective, ScheduleTimes
from hexsolve.models.status import Limit


@click.command(
    "optimum",
    epilog="Example: hexsolve optimum xs01-chat-1p1d-8b-calm --time-limit 30 -o schedule.json",
)
@click.argument("instance")
@click.option(
    "--objective",
    type=click.Choice(get_args(ScheduleObjective)),
    default="req95",
    show_default=True,
    help="The least SLO scale that so many % of workflows meet.",
)
@solver_options.time_limit(default=60.0, per="the search")
@click.option(
    "--workers",
    type=click.IntRange(min=1, max=64),
    help="Threads; half of them raise the bound while the others look for schedules, beyond 220 "
    "calls for a while only. Left out: 2 where there are two cores, but 1 with --deterministic.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the search: the same seed and --deterministic repeat it.",
)
@click.option(
    "--deterministic", is_flag=True, help="Count work, not time; with one worker it repeats."
)
@click.option(
    "--times",
    type=click.Choice(["nominal", "optimistic"]),
    show_default="nominal, or those of --start",
    help="nominal: a schedule to carry out; optimistic: a bound that no simulated run beats.",
)
@click.option(
    "--decode-batch",
    type=click.IntRange(min=1, max=100_000),
    help="Sequences for which nominal decode steps are timed; left out: chosen.",
)
@click.option(
    "--grid-ms",
    type=FiniteFloat(min=0.001, max=1000.0),
    show_default="1, or that of --start",
    help="Length of a tick.",
)
@click.option(
    "--start",
    type=click.Path(path_type=Path),
    help="A schedule of INSTANCE that this command wrote, or a certificate of the benchmark: go on "
    "from it, with its times. The answer is no worse; its bound is not taken over.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the schedule (JSON).")
@click.option("--json", "as_json", is_flag=True, help="Print the schedule as JSON on stdout.")
def optimum(
    instance: str,
    objective: ScheduleObjective,
    time_limit: float,
    workers: int | None,
    seed: int,
    deterministic: bool,
    times: str | None,
    decode_batch: int | None,
    grid_ms: float | None,
    start: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Schedule INSTANCE with all lengths and reveals known, and prove how good that is.

    INSTANCE is a benchmark instance's name or a file. Exit code 0: a schedule; 2: the input is
    wrong. Ctrl-C stops the search with the best schedule found so far; again, it gives up (130).
    """
    from hexsolve.solver.backends import Progress
    from hexsolve.solver.optimum.answer import optimum as solve
    from hexsolve.solver.optimum.answer import times_to_start
    from hexsolve.solver.optimum.clock import SearchOptions
    from hexsolve.solver.optimum.ready import compile_annealing

    check_output(output, Path(instance), start)
    if workers is None:
        workers = 1 if deterministic else min(2, cores())
    loaded = load_scheduling_instance(instance)
    first = None if start is None else schedule_from(read_data(start), str(start))
    chosen = _times(times, decode_batch, grid_ms, first)
    if first is not None:
        try:
            times_to_start(first, loaded, chosen)
        except InputError as error:
            raise error.at(str(start)) from None
    with telling_if_long("compiling the search, once in each environment (a minute) …"):
        compile_annealing()
    started = time.perf_counter()
    with stopping_on_interrupt() as stop, solving(f"optimum of {loaded.name}", "slo") as tell:

        def report(objective_: float, bound: float) -> None:
            tell(Progress(time.perf_counter() - started, objective_, bound))

        options = SearchOptions(time_limit, workers, seed, deterministic, stop)
        # The main thread is left to Ctrl-C, which compiled code would hold up.
        made = in_background(lambda: solve(loaded, objective, options, chosen, report, first))
    if output is not None:
        write_text(output, made.model_dump_json(indent=1) + "\n")
    if as_json:
        click.echo(made.model_dump_json(indent=1))
    else:
        _show(made, loaded.calls, len(loaded.workflows))


def _times(
    mode: str | None, decode_batch: int | None, grid_ms: float | None, start: Schedule | None
) -> ScheduleTimes | None:
    """Return what the options say about times, where they are left out what `start` does."""
    given: dict[str, Any] = {} if start is None else start.times.model_dump()
    if mode is not None:
        given["mode"] = mode
    if decode_batch is not None:
        given["decode_batch"] = decode_batch
    if grid_ms is not None:
        given["grid_s"] = grid_ms / 1000.0
    if not given:
        return None
    if given.get("mode") != "optimistic" and "decode_batch" not in given:
        if grid_ms is not None:
            raise click.UsageError("--grid-ms with nominal times needs --decode-batch")
        return None
    return ScheduleTimes.model_validate(given)


def _show(made: Schedule, calls: int, workflows: int) -> None:
    lines = [
        f"{made.objective_kind} of {made.instance_name}: {workflows} workflows, {calls} calls",
        "",
    ]
    assert made.objective is not None
    assert made.bound is not None
    assert made.gap is not None
    model: str = made.times.mode
    if model == "nominal":
        model += f", decode batch {made.times.decode_batch}"
    lines.append(f"Model        {model}, ticks of {made.times.grid_s * 1e3:g} ms")
    lines.append(f"Schedule     {made.objective:.4f} × horizon, by {made.parameters['found_by']}")
    lines.append(f"Bound        {made.bound:.4f} ({made.bound_source})")
    proof = f"Proof        {made.status.value}, gap {made.gap:.2%}, {made.runtime_s:.1f} s"
    lines.append(proof + (" (stopped by Ctrl-C)" if made.limit is Limit.INTERRUPT else ""))
    if made.replay is not None:
        lines.append(
            f"Simulated    {made.replay.limited:.4f} × horizon with the same places, order and "
            f"limits; {made.replay.objective:.4f} without the limits"
        )
    click.echo("\n".join(lines))
