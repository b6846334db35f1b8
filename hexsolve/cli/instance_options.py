"""Options that generated and imported instances share, and writing them."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from hexsolve.cli.numbers import FiniteFloat
from hexsolve.instances.capacity import default_rate
from hexsolve.instances.catalog import load_catalog
from hexsolve.instances.files import write_text
from hexsolve.instances.resolve import resolve
from hexsolve.instances.schema import Instance
from hexsolve.instances.write import Data, instance_data, instance_yaml
from hexsolve.models.errors import InputError
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.workload import Workload

DEFAULT_LLM = "llama-3.1-70b"
DEFAULT_CLUSTER = "hetero-2"
BURSTY = 5.0
STEADY_SCALE, BURSTY_SCALE = 3.0, 10.0

Command = TypeVar("Command", bound=Callable[..., Any])


POSITIVE = FiniteFloat(min=1e-9, max=1e9)

_OPTIONS = (
    click.option(
        "--rate",
        type=POSITIVE,
        help="Workflows per second. Left out: that of a trace with arrival times, else about a "
        "third of what the cluster can serve.",
    ),
    click.option("--llm", default=DEFAULT_LLM, show_default=True, help="LLM of the catalog."),
    click.option(
        "--cluster", default=DEFAULT_CLUSTER, show_default=True, help="Cluster of the catalog."
    ),
    click.option(
        "--slo-scale",
        type=FiniteFloat(min=1.0, max=1e9),
        help="Mean workflow latency allowed, in multiples of the time alone on the cluster. "
        f"Left out: {STEADY_SCALE:g}, or {BURSTY_SCALE:g} for bursty arrivals.",
    ),
    click.option(
        "--classes",
        type=click.IntRange(1, 200),
        default=16,
        show_default=True,
        help="Call classes at most; more are closer to the workflows and slower to plan.",
    ),
    click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file."),
)


def shared_options(command: Command) -> Command:
    """Add the shared options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check_names(llm: str, cluster: str) -> tuple[str, str]:
    """Return the catalog's names of an LLM and a cluster; raise `InputError` if unknown."""
    catalog = load_catalog()
    return catalog.llm(llm, field="--llm").name, catalog.cluster(cluster, field="--cluster").name


def check_output(output: Path | None, *inputs: Path | None) -> None:
    """Refuse an output file that cannot be written, or is an input, before any work is done.

    A disk may still be full in the end: `write_text` then leaves the old file.

    Raises
    ------
    InputError
        Its folder is missing or may not be written to, it is a folder, or one of `inputs`.
    """
    if output is None:
        return
    source = str(output)
    folder = output.absolute().parent
    if not folder.is_dir():
        raise InputError("its folder does not exist", source=source)
    if output.is_dir():
        raise InputError("is a folder; allowed: a file", source=source)
    device = output.exists() and not output.is_file()
    if not os.access(output if device else folder, os.W_OK):
        raise InputError("cannot be written: Permission denied", source=source)
    for given in inputs:
        if given is not None and given.exists() and output.exists() and given.samefile(output):
            raise InputError("is an input of this command; allowed: another file", source=source)


def chosen_scale(given: float | None, workload: Workload) -> float:
    """Return the SLO scale given, else one that the burstiness leaves room for."""
    if given is not None:
        return given
    return BURSTY_SCALE if workload.burstiness > BURSTY else STEADY_SCALE


def as_problem(data: Data, source: str) -> PlanningProblem:
    """Return the resolved instance."""
    return resolve(Instance.model_validate(data), source)


def chosen_rate(name: str, llm: str, cluster: str, workload: Workload, source: str) -> float:
    """Return a rate that the cluster can serve."""
    return default_rate(as_problem(instance_data(name, llm, cluster, None, workload), source))


def limited(workload: Workload, ttft: float | None, tpot: float | None) -> Workload:
    """Return a workload with latency limits on every workflow class."""
    limits = {"ttft_limit_s": ttft, "tpot_limit_s": tpot}
    given = {name: value for name, value in limits.items() if value is not None}
    classes = tuple(each.model_copy(update=given) for each in workload.classes)
    return workload.model_copy(update={"classes": classes})


def finish(data: Data, origin: Iterable[str], output: Path | None) -> None:
    """Write an instance to a file or stdout, once it is known to resolve."""
    as_problem(data, str(output) if output is not None else data["name"])
    text = instance_yaml(data, origin, output.name if output is not None else "FILE")
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)
        click.echo(f"wrote {output}", err=True)
