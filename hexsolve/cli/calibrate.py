"""``hexsolve calibrate``: from tables of step times to coefficients, and the error of both."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import box
from rich.table import Table
from rich.text import Text

from hexsolve.cli.instance_options import check_output
from hexsolve.cli.screen import new_console, print_table
from hexsolve.instances.catalog import Catalog, load_catalog
from hexsolve.instances.files import write_text
from hexsolve.models.errors import InputError

if TYPE_CHECKING:
    from hexsolve.instances.calibration.evaluate import GroupError
    from hexsolve.models.fitted import FittedCoefficients

# Seconds of work before progress is shown.
PATIENCE_S = 2.0

Files = tuple[Path, ...]

catalog_option = click.option(
    "--catalog",
    "--llms",
    "--gpus",
    "catalog_files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="YAML with further llms, gpus, coefficients or efficiencies; may be repeated.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


@click.group("calibrate", epilog="Example: hexsolve calibrate fit table.csv -o coefficients.yaml")
def calibrate() -> None:
    """Fit the latency model to tables of step times, or see how well it predicts one.

    A table is a CSV file with the columns model,gpu,tp,phase,batch,new_tokens,cached_tokens,
    latency_ms, or gpu,model,tp,phase,batch,tokens_per_seq,time_ms.
    """


@calibrate.command("fit", epilog="Example: hexsolve calibrate fit table.csv -o coefficients.yaml")
@click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write coefficients (YAML).")
@catalog_option
@json_option
def fit(tables: Files, output: Path | None, catalog_files: Files, as_json: bool) -> None:
    """Fit coefficients to every (model, GPU, tp) of TABLES and show the in-sample error.

    The file written with -o can be given as --catalog to other commands or named in an instance.
    """
    from hexsolve.instances.calibration.fit import fit_table
    from hexsolve.instances.calibration.table import read_table
    from hexsolve.instances.calibration.write import to_yaml

    check_output(output, *tables, *catalog_files)
    catalog = _catalog(catalog_files)
    fits: list[FittedCoefficients] = []
    with _progress("groups fitted") as progress:
        for table in tables:
            fits += fit_table(read_table(table, catalog), catalog, table.name, progress)
    names = ", ".join(table.name for table in tables)
    if output is not None:
        write_text(output, to_yaml("coefficients", fits, f"hexsolve calibrate fit {names}"))
    if as_json:
        click.echo(json.dumps([item.model_dump(mode="json") for item in fits], indent=2))
        return
    _print_table(
        f"In-sample mean absolute error, {names}",
        ("Model", "GPU", "tp", "Prefill", "rows", "Decode", "rows"),
        [
            (
                item.llm,
                item.gpu,
                str(item.tp),
                f"{item.prefill_mape:.1%}",
                str(item.prefill_rows),
                f"{item.decode_mape:.1%}",
                str(item.decode_rows),
            )
            for item in fits
        ],
    )
    prefill = _mean([(item.prefill_mape, item.prefill_rows) for item in fits])
    decode = _mean([(item.decode_mape, item.decode_rows) for item in fits])
    rows = sum(item.prefill_rows + item.decode_rows for item in fits)
    click.echo(f"overall: prefill {prefill:.2%}, decode {decode:.2%}, {rows} rows")


@calibrate.command(
    "evaluate", epilog="Example: hexsolve calibrate evaluate table.csv --leave-out all"
)
@click.argument("table", type=click.Path(path_type=Path))
@click.option(
    "--leave-out",
    "left_out",
    multiple=True,
    metavar="MODEL",
    help="Fit the roofline to TABLE without MODEL and predict MODEL's rows; may be repeated, "
    "'all' takes each in turn.",
)
@click.option("--roofline", is_flag=True, help="Ignore fitted coefficients: roofline only.")
@catalog_option
@json_option
def evaluate(
    table: Path, left_out: tuple[str, ...], roofline: bool, catalog_files: Files, as_json: bool
) -> None:
    """Predict every row of TABLE and show the error per model, GPU, tp and phase.

    Rows without fitted coefficients, or beyond what those were fitted to, count as extrapolated.
    """
    from hexsolve.instances.calibration.evaluate import evaluate as predict_all
    from hexsolve.instances.calibration.leave_out import leave_models_out
    from hexsolve.instances.calibration.table import read_table

    catalog = _catalog(catalog_files)
    rows = read_table(table, catalog)
    if roofline:
        catalog = catalog.without_coefficients()
    with _progress("groups predicted") as progress:
        if left_out:
            result = leave_models_out(rows, catalog, left_out, progress)
        else:
            result = predict_all(rows, catalog, progress)
    if as_json:
        click.echo(json.dumps(result.model_dump(mode="json"), indent=2))
        return
    _print_table(
        f"Mean absolute prediction error, {table.name}",
        ("Model", "GPU", "tp", "Prefill", "Decode", "Rows", "Origin", "Beyond"),
        _by_engine(result.groups),
    )
    for name, phase in (("prefill", result.overall.prefill), ("decode", result.overall.decode)):
        if phase.mape is not None:
            click.echo(f"overall {name}: {phase.mape:.2%} over {phase.rows} rows")


@calibrate.command(
    "roofline", epilog="Example: hexsolve calibrate roofline a.csv b.csv -o efficiencies.yaml"
)
@click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Write YAML.")
@click.option("--source", default="", help="Where the tables come from; kept in the file.")
@catalog_option
def roofline_command(tables: Files, output: Path, source: str, catalog_files: Files) -> None:
    """Fit the efficiencies of every GPU type in TABLES, for models without a table.

    A (model, GPU, tp) that stands in several tables is taken from the first.
    """
    from hexsolve.instances.calibration.evaluate import evaluate as predict_all
    from hexsolve.instances.calibration.roofline import fit_efficiencies
    from hexsolve.instances.calibration.table import first_of_each, read_table
    from hexsolve.instances.calibration.write import to_yaml

    check_output(output, *tables, *catalog_files)
    catalog = _catalog(catalog_files)
    rows = first_of_each([read_table(table, catalog) for table in tables])
    source = source or ", ".join(table.name for table in tables)
    with _progress("GPU types fitted") as progress:
        fits = fit_efficiencies(rows, catalog, source, progress=progress)
    write_text(output, to_yaml("efficiencies", fits, "hexsolve calibrate roofline"))
    fitted = catalog.without_coefficients().extended(efficiencies=fits)
    overall = predict_all(rows, fitted).overall
    click.echo(
        f"{len(fits)} GPU types, in-sample: prefill {overall.prefill.mape or 0:.2%}, "
        f"decode {overall.decode.mape or 0:.2%}, {len(rows)} rows"
    )


@calibrate.command(
    "table",
    epilog="Example: hexsolve calibrate table --llm llama-3.1-8b --gpu h100 -o table.csv",
)
@click.option("--llm", "llms", multiple=True, required=True, metavar="NAME")
@click.option("--gpu", "gpus", multiple=True, required=True, metavar="NAME")
@click.option(
    "--tp",
    "tps",
    multiple=True,
    type=click.IntRange(1, 64),
    help="GPUs that share every layer; may be repeated. Left out: 1, 2, 4 and 8.",
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Write CSV.")
@catalog_option
def table_command(
    llms: tuple[str, ...],
    gpus: tuple[str, ...],
    tps: tuple[int, ...],
    output: Path,
    catalog_files: Files,
) -> None:
    """Take the table of any model from the package aiconfigurator-core (extra aiconfigurator).

    Combinations that do not fit into memory are left out, and so are those that the package has
    no measurements for; both are named on stderr.
    """
    from hexsolve.instances.calibration.aiconfigurator import step_tables, to_csv

    check_output(output, *catalog_files)
    catalog = _catalog(catalog_files)
    with _progress("combinations taken") as progress:
        rows, missing = step_tables(
            catalog,
            [catalog.llm(name, field="--llm") for name in llms],
            [catalog.gpu(name, field="--gpu") for name in gpus],
            tps or (1, 2, 4, 8),
            progress,
        )
    for reason in missing:
        click.echo(f"left out: {reason}", err=True)
    if not rows:
        raise InputError("no combination of --llm, --gpu and --tp has a table; see above")
    write_text(output, to_csv(rows))
    click.echo(f"{len(rows)} rows in {output}")


def _catalog(paths: Sequence[Path]) -> Catalog:
    catalog = load_catalog()
    for path in paths:
        catalog = catalog.extended_from(path)
    return catalog


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    numeric = {"tp", "rows", "Rows", "Prefill", "Decode", "Beyond"}
    for column in columns:
        table.add_column(column, justify="right" if column in numeric else "left")
    for row in rows:
        # Text, not str: names may hold what rich would take for markup.
        table.add_row(*[Text(cell) for cell in row])
    print_table(new_console(), table)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[str], None]]:
    """Yield a callback that tells on stderr, at most every second, how far the work is."""
    began = told = time.monotonic()
    done = 0

    def step(name: str) -> None:
        nonlocal told, done
        done += 1
        now = time.monotonic()
        if now - began > PATIENCE_S and now - told > 1.0:
            told = now
            click.echo(f"{done} {what}, last {name}, {now - began:.0f} s", err=True)

    yield step


def _by_engine(groups: "Sequence[GroupError]") -> list[tuple[str, ...]]:
    """One line per (model, GPU, tp); Beyond counts rows outside what was fitted."""
    engines: dict[tuple[str, str, int], dict[str, GroupError]] = {}
    for group in groups:
        engines.setdefault((group.model, group.gpu, group.tp), {})[group.phase] = group
    lines = []
    for (model, gpu, tp), phases in engines.items():
        shown = [f"{phases[p].mape:.1%}" if p in phases else "" for p in ("prefill", "decode")]
        rows = sum(group.rows for group in phases.values())
        beyond = sum(group.extrapolated_rows for group in phases.values())
        origin = next(iter(phases.values())).origin
        lines.append((model, gpu, str(tp), *shown, str(rows), origin, str(beyond or "")))
    return lines


def _mean(weighted: Sequence[tuple[float, int]]) -> float:
    total = sum(rows for _, rows in weighted)
    return sum(value * rows for value, rows in weighted) / total
