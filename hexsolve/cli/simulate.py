"""``hexsolve simulate``: run workflows on a planned cluster under a policy."""

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hexsolve.cli.instance_options import check_output
from hexsolve.cli.numbers import FiniteFloat
from hexsolve.cli.progress import counting
from hexsolve.cli.run_length import short_run
from hexsolve.cli.simulate_input import (
    Wanted,
    absence,
    refuse_workload,
    resolve_cluster,
    resolve_stored,
    resolve_workflows,
    stored_workflows,
)
from hexsolve.cli.simulate_output import close_epochs, event_log, open_output, unwritable
from hexsolve.cli.simulate_screen import show_summary
from hexsolve.cli.workload_options import workload_options
from hexsolve.models.errors import InputError

if TYPE_CHECKING:
    from hexsolve.models.plan import Plan
    from hexsolve.models.simulation.trace import EventLog


@click.command("simulate", epilog="Example: hexsolve simulate --policy workflow-fcfs -n 500")
@workload_options
@click.option(
    "--policy",
    default="workflow-fcfs",
    show_default=True,
    help="A name or ORDERING+PLACEMENT (`hexsolve policies`), or FILE.py:CLASS of your own.",
)
@click.option(
    "--budget-ms",
    type=FiniteFloat(min=1.0, max=60_000.0),
    default=50.0,
    show_default=True,
    help="What an epoch of rolling-cpsat may take.",
)
@click.option(
    "--epoch-s",
    type=FiniteFloat(min=0.001, max=1e6),
    help="Let rolling-cpsat plan at least this often, s. Left out: only where calls become ready "
    "or complete.",
)
@click.option(
    "--real-time",
    is_flag=True,
    help="Measure that budget in real time, CP-SAT in its own process; reruns then differ.",
)
@click.option(
    "--epoch-log",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the epochs of rolling-cpsat as JSON lines.",
)
@click.option(
    "--predictor",
    default="oracle",
    show_default=True,
    help="Output lengths: oracle, class-mean, class-pNN, noise-SIGMA.",
)
@click.option(
    "--horizons/--no-horizons",
    default=True,
    show_default=True,
    help="Simulate each workflow alone, for its slowdown.",
)
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write an event log: JSONL, or Parquet if FILE ends in .parquet.",
)
@click.option("--trace", type=click.Path(path_type=Path), help="Write a Perfetto/Chrome trace.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON on stdout.")
def simulate(
    plan_or_instance: Path | None,
    instance: Path | None,
    workload: str,
    count: int | None,
    rate: float | None,
    cv: float | None,
    policy: str,
    budget_ms: float,
    epoch_s: float | None,
    real_time: bool,
    epoch_log: Path | None,
    predictor: str,
    seed: int,
    horizons: bool,
    record: Path | None,
    trace: Path | None,
    as_json: bool,
) -> None:
    """Simulate workflows on a cluster of prefill, decode and mixed instances.

    PLAN_OR_INSTANCE is an answer that `hexsolve plan -o` wrote, or an instance, which is planned
    first; left out, the embedded example. Or a scheduling instance, which brings its own
    workflows: a name of `hexsolve instance list --benchmark`, or such a file. The same options
    give the same output, wall_s aside.
    """
    import numpy as np

    from hexsolve.models.class_measures import class_measures, with_promises
    from hexsolve.models.simulation.engine import Simulation
    from hexsolve.models.simulation.horizon import standalone_horizons
    from hexsolve.models.simulation.measures import flow_times, summarise
    from hexsolve.models.simulation.parquet import check_pyarrow
    from hexsolve.models.simulation.trace import ChromeTrace, Listeners
    from hexsolve.solver.online.predictors import make_predictor
    from hexsolve.solver.online.registry import PolicyOptions, check_policy, make_policy
    from hexsolve.solver.online.rolling.options import RollingOptions

    check_policy(policy)
    for output in (record, trace, epoch_log):
        check_output(output)
    for field, given in (("--epoch-log", epoch_log), ("--epoch-s", epoch_s)):
        if given is not None and policy != "rolling-cpsat":
            raise InputError("is for --policy rolling-cpsat", field=field)
    if record is not None and record.suffix == ".parquet":
        # Before the work, not after it.
        check_pyarrow()
    guess = make_predictor(predictor, seed)
    draws, resamples = np.random.default_rng(seed).spawn(2)
    plan: Plan | None = None
    wanted = Wanted(workload, count, rate, cv)
    stored = resolve_stored(plan_or_instance)
    if stored is not None:
        refuse_workload(instance, wanted)
        name, cluster, drawn = stored.name, stored.cluster, stored_workflows(stored)
        workload = stored.name
    else:
        problem, plan, cluster = resolve_cluster(plan_or_instance, instance)
        name = problem.name
        drawn = resolve_workflows(problem, plan, cluster, wanted, draws)
        if drawn.absent:
            every = sum(each.rate_per_s for each in problem.workload.classes)
            click.echo(f"warning: {absence(drawn.absent, every)}", err=True)
    rolling = RollingOptions(
        budget_ms=budget_ms, epoch_s=epoch_s, deterministic=not real_time, seed=seed
    )
    chosen = make_policy(policy, PolicyOptions(plan, seed, rolling))
    started = time.perf_counter()
    with ExitStack() as stack:
        listeners: list[EventLog | ChromeTrace] = []
        if record is not None:
            listeners.append(stack.enter_context(event_log(record, cluster)))
        chrome = ChromeTrace(cluster) if trace is not None else None
        if chrome is not None:
            listeners.append(chrome)
        total = sum(len(workflow.calls) for workflow in drawn.workflows)
        progress = stack.enter_context(counting("simulating", total, "calls"))
        simulation = Simulation(
            cluster,
            drawn.workflows,
            chosen,
            guess,
            listener=Listeners(listeners) if listeners else None,
            progress=progress,
        )
        result = simulation.run()
        if chrome is not None and trace is not None:
            try:
                with open_output(trace) as stream:
                    chrome.write(stream)
            except OSError as error:
                raise unwritable(trace, error) from None
    epochs, times = close_epochs(chosen, epoch_log)
    if real_time and epochs:
        # Nothing repeats exactly with a real budget anyway.
        epochs["planner"] |= times
    alone = standalone_horizons(cluster, simulation.workflows) if horizons else None
    classes = class_measures(simulation.workflows, flow_times(result), alone)
    if plan is not None and drawn.planned:
        classes = with_promises(classes, plan)
    summary: dict[str, Any] = {
        "policy": policy,
        "predictor": predictor,
        "seed": seed,
        "workload": workload,
        "instance": name,
        "arrivals": {"rate_per_s": drawn.rate, "cv": drawn.cv} if drawn.rate else None,
        **summarise(result, cluster, alone, resamples),
        "classes": classes,
        **epochs,
        "wall_s": time.perf_counter() - started,
    }
    if drawn.rate is not None:
        short = short_run(simulation.workflows, flow_times(result), drawn.rate)
        if short is not None:
            click.echo(f"warning: {short}", err=True)
    if as_json:
        click.echo(json.dumps(summary, indent=2))
    else:
        show_summary(summary, drawn.notes, times)
