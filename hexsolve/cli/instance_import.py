"""``hexsolve instance import``: planning classes from a trace of real calls."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hexsolve.cli.instance_options import (
    as_problem,
    check_names,
    check_output,
    chosen_rate,
    chosen_scale,
    finish,
    shared_options,
)
from hexsolve.cli.numbers import FiniteFloat
from hexsolve.cli.working import working
from hexsolve.instances.retention import DEFAULT_RETENTION_S
from hexsolve.instances.write import instance_data
from hexsolve.models.errors import InputError

if TYPE_CHECKING:
    from hexsolve.instances.classes import ApproximationError
    from hexsolve.instances.importers.trace import ImportedTrace
    from hexsolve.instances.retention import Retained
    from hexsolve.models.llm import LLM

CURVE = (1, 2, 4, 8, 16, 32)
"""Numbers of call classes whose error is reported."""


@click.command("import", epilog="Example: hexsolve instance import trace.csv.gz -o trace.yaml")
@click.argument("trace", type=click.Path(path_type=Path))
@click.option("--format", "trace_format", help="Format of TRACE; left out, it is recognised.")
@shared_options
@click.option(
    "--retention",
    type=FiniteFloat(min=0.0, max=1e8),
    default=DEFAULT_RETENTION_S,
    show_default=True,
    help="Seconds that a prefix is kept after its use; after longer pauses (users sleep) it is "
    "computed anew, and the pause counts as this long.",
)
def import_trace(
    trace: Path,
    trace_format: str | None,
    rate: float | None,
    llm: str,
    cluster: str,
    slo_scale: float | None,
    classes: int,
    output: Path | None,
    retention: float,
) -> None:
    """Import a TRACE (file, or folder of files of one format) as an instance.

    Calls are grouped into classes by tokens and place in the workflow; what that loses is told
    on standard error and kept in the file. Formats: azure, weka, mooncake, mlperf, text2sql,
    otel, vllm-log, hexsolve; plain or gzip.
    """
    from hexsolve.instances.catalog import load_catalog
    from hexsolve.instances.classes import error_curve, from_workflows
    from hexsolve.instances.importers import read_trace
    from hexsolve.instances.retention import keep_prefixes

    llm, cluster = check_names(llm, cluster)
    check_output(output, trace)
    name = _name(trace)
    try:
        with working(f"reading {trace}"):
            read = read_trace(trace, trace_format)
        kept = keep_prefixes(read.workflows, retention)
        with working("grouping calls"):
            workload = from_workflows(kept.workflows, max_classes=classes, rate=rate)
            origin = "as given"
            if rate is None and read.has_arrivals:
                rate = sum(each.rate_per_s for each in workload.classes)
                origin = "that of the trace"
            elif rate is None:
                rate = chosen_rate(name, llm, cluster, workload, str(trace))
                origin = f"about a third of what {cluster} can serve, as the trace has no arrivals"
                workload = from_workflows(kept.workflows, max_classes=classes, rate=rate)
            curve = error_curve(kept.workflows, CURVE)
    except InputError as error:
        raise error if error.source else error.at(str(trace)) from None
    rate_text = f"rate {rate:g} workflows/s: {origin}"
    text = "; ".join(
        part
        for part in (f"{read.format} trace {trace.name}", rate_text, kept.text(retention))
        if part
    )
    workload = workload.model_copy(update={"approximation": f"{text}; {workload.approximation}"})
    scale = chosen_scale(slo_scale, workload)
    data = instance_data(name, llm, cluster, scale, workload)
    _report(read, kept, rate_text, retention, curve, classes)
    _warn(read, load_catalog().llm(llm))
    if slo_scale is None and workload.burstiness > 1.0:
        click.echo(
            f"burstiness:  {workload.burstiness:.3g} × the waits of Poisson arrivals; SLO scale "
            f"{scale:g}",
            err=True,
        )
    as_problem(data, str(trace))
    source = [
        f"Imported from {trace.name} ({read.format}): {len(read.workflows):,} workflows, "
        f"{read.calls:,} calls; {rate_text}",
        f"Made by hexsolve instance import {trace.name} --rate {rate:g} --llm {llm} --cluster "
        f"{cluster} --slo-scale {scale:g} --classes {classes} --retention {retention:g}",
    ]
    finish(data, source, output)


def _name(trace: Path) -> str:
    """Return a valid instance name for a file."""
    stem = trace.absolute().name.split(".")[0]
    made = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "-" for c in stem)
    return made.strip("-_")[:80] or "trace"


def _report(
    read: "ImportedTrace",
    kept: "Retained",
    rate: str,
    retention: float,
    curve: "list[ApproximationError]",
    classes: int,
) -> None:
    calls = [call for workflow in kept.workflows for call in workflow.calls]
    prompt = sum(call.prompt_tokens for call in calls)
    cached = sum(call.prefix_tokens for call in calls)
    output = sum(call.output_tokens for call in calls)
    lines = [
        ("format", read.format),
        ("workflows", f"{len(read.workflows):,} with {read.calls:,} calls"),
        ("tokens", f"{prompt - cached:,} new, {cached:,} cached, {output:,} output"),
        ("rate", rate.removeprefix("rate ")),
        ("retention", kept.text(retention) or f"no pause is longer than {retention:g} s"),
        *(("note", note) for note in read.notes),
    ]
    for name, text in lines:
        click.echo(f"{name + ':':<12} {text}", err=True)
    click.echo(f"{'classes:':<12} mean error per call for at most so many call classes", err=True)
    for most, error in zip(CURVE, curve, strict=True):
        mark = "  <- this instance" if most == classes else ""
        click.echo(f"{most:>16}  {error.mean:.1%}{mark}", err=True)


def _warn(read: "ImportedTrace", llm: "LLM") -> None:
    """Say when calls are longer than the LLM accepts; the plan pretends that it does."""
    beyond = sum(
        call.prompt_tokens + call.output_tokens > llm.context_limit
        for workflow in read.workflows
        for call in workflow.calls
    )
    if beyond:
        click.echo(
            f"warning:     {beyond:,} calls are longer than the {llm.context_limit:,} tokens of "
            f"{llm.name}'s context; they are planned as if it took them",
            err=True,
        )
