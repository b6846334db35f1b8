"""``hexsolve compare``: a study of policies with statistics, figures and resumption."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hexsolve.cli.exit_codes import FAILED
from hexsolve.models.errors import InputError

if TYPE_CHECKING:
    from hexsolve.studies.bounds import BoundOutcome
    from hexsolve.studies.cells import Outcome


@click.command("compare", epilog="Example: hexsolve compare study.yaml -o results/mine --jobs 2")
@click.argument("study", required=False, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option("--dask", metavar="ADDRESS", help="Run on the Dask cluster of this scheduler.")
@click.option("--figures/--no-figures", default=True, show_default=True, help="Draw figures.")
@click.option("--example", is_flag=True, help="Print a study to start from.")
@click.pass_context
def compare(
    ctx: click.Context,
    study: Path | None,
    output: Path | None,
    jobs: int,
    dask: str | None,
    figures: bool,
    example: bool,
) -> None:
    """Run instances × policies × seeds of STUDY and compare the policies.

    Writes runs.csv (a row a run, as they end), slowdowns.jsonl, timings.csv, tables.md, tables.tex
    and figures (SVG and PDF). Stopped at any moment, the same command runs what is missing. Start
    with `hexsolve compare --example > study.yaml`; docs/studies.md explains the rest. Exit code 0:
    every run is complete; 1: some failed, tables.md says which and why; 2: the input is wrong.
    """
    from hexsolve.studies.load import load_study
    from hexsolve.studies.schema import EXAMPLE

    if example:
        click.echo(EXAMPLE, nl=False)
        return
    if study is None or output is None:
        raise click.UsageError("give a STUDY and --output, or --example")
    from hexsolve.studies.figures import write_figures
    from hexsolve.studies.lock import alone_in
    from hexsolve.studies.runner import Executor, here, processes, run_study
    from hexsolve.studies.store import Store
    from hexsolve.studies.tables import write_tables

    if dask is not None and jobs > 1:
        raise click.UsageError("give --jobs or --dask, not both")
    loaded = load_study(study)
    execute: Executor = here if jobs == 1 else processes(jobs)
    if dask is not None:
        from hexsolve.studies.dask import cluster

        execute = cluster(dask)
    if output.exists() and not output.is_dir():
        raise InputError("is a file; allowed: a folder for the results", source=str(output))
    try:
        with alone_in(output):
            store = Store(output, loaded)
            with _progress(loaded.name) as report:
                run_study(loaded, store, execute, report)
            rows = store.rows()
            write_tables(loaded, rows, output)
            if figures:
                write_figures(loaded, rows, store.values(), output / "figures")
    except OSError as error:
        place = str(error.filename or output)
        raise InputError(f"cannot be written: {error.strerror}", source=place) from None
    failed = sum(row["status"] != "ok" for row in rows.values())
    click.echo(f"{len(rows)} runs in {output}, {failed} failed; see {output / 'tables.md'}")
    if failed:
        ctx.exit(FAILED)


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int, "Outcome | BoundOutcome"], None]]:
    """Show runs done, and an estimate of the time left, on standard error."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        started = time.perf_counter()
        shown = [started]
        count = 0

        def line(done: int, total: int, outcome: "Outcome | BoundOutcome") -> None:
            nonlocal count
            count += 1
            now = time.perf_counter()
            if now - shown[0] >= 10.0 or done == total:
                shown[0] = now
                print(
                    f"{name}: {done}/{total} jobs after {now - started:.0f} s, about "
                    f"{(now - started) * (total - done) / count:.0f} s left, last "
                    f"{_shown(outcome)} seed {outcome.cell.seed}",
                    file=sys.stderr,
                    flush=True,
                )

        yield line
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(name, total=None)

        def update(done: int, total: int, outcome: "Outcome | BoundOutcome") -> None:
            progress.update(
                task,
                completed=done,
                total=total,
                description=f"{name}: {_shown(outcome)}",
            )

        yield update


def _shown(outcome: "Outcome | BoundOutcome") -> str:
    return f"{outcome.cell.instance} {getattr(outcome.cell, 'policy', 'lower bound')}"
