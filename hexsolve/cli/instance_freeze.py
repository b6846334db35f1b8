"""``hexsolve instance freeze``: cluster and workflows as a scheduling instance."""

from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, ValidationError

from hexsolve.cli.instance_options import check_output
from hexsolve.cli.simulate_input import (
    Wanted,
    absence,
    resolve_cluster,
    resolve_stored,
    resolve_workflows,
)
from hexsolve.cli.workload_options import workload_options
from hexsolve.instances.benchmark.io import parse_scheduling_instance, scheduling_instance_text
from hexsolve.instances.files import write_text
from hexsolve.instances.validation import input_error, validated
from hexsolve.models.errors import InputError
from hexsolve.models.hardware import Name
from hexsolve.models.scheduling import SchedulingInstance


class Named(BaseModel):
    """What of an instance is checked before a plan is made, which may take minutes."""

    name: Name


@click.command(
    "freeze", epilog="Example: hexsolve instance freeze --workload chat -n 8 --rate 2 -o mine.json"
)
@workload_options
@click.option("--name", help="Left out: OUTPUT without .json.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Write the scheduling instance to this file.",
)
def freeze(
    plan_or_instance: Path | None,
    instance: Path | None,
    name: str | None,
    output: Path,
    seed: int,
    **wanted: Any,
) -> None:
    """Write a planned cluster and the workflows that arrive at it as a scheduling instance.

    They are those that `hexsolve simulate` runs with the same options and seed. `hexsolve
    optimum`, `hexsolve simulate` and studies (`benchmark:`) take the file; docs/studies.md states
    its format. PLAN_OR_INSTANCE as there; left out, the embedded example.
    """
    import numpy as np

    if output.suffix.lower() != ".json":
        raise InputError("allowed: a name that ends in .json", source=str(output))
    check_output(output, plan_or_instance, instance, Path(wanted["workload"]))
    named = validated(Named, {"name": name or output.stem}, str(output)).name
    if resolve_stored(plan_or_instance) is not None:
        raise InputError("is a scheduling instance already", source=str(plan_or_instance))
    problem, plan, cluster = resolve_cluster(plan_or_instance, instance)
    draws, _ = np.random.default_rng(seed).spawn(2)
    drawn = resolve_workflows(problem, plan, cluster, Wanted(**wanted), draws)
    if drawn.absent:
        every = sum(each.rate_per_s for each in problem.workload.classes)
        click.echo(f"warning: {absence(drawn.absent, every)}", err=True)
    gpus = sum(group.gpus for group in plan.groups)
    data = {
        "name": named,
        "description": "; ".join((f"{problem.name}: {gpus} GPUs", *drawn.notes)),
        "shape": wanted["workload"],
        "llm": problem.llm.name,
        "cluster": cluster,
        "workflows": tuple(sorted(drawn.workflows, key=lambda workflow: workflow.arrival_s)),
    }
    try:
        made = SchedulingInstance.model_validate(data)
    except ValidationError as error:
        raise input_error(error, data, str(output), SchedulingInstance) from None
    text = scheduling_instance_text(made)
    # What cannot be read back is no instance.
    parse_scheduling_instance(text, str(output))
    write_text(output, text)
    click.echo(
        f"wrote {output}: {len(cluster.instances)} instances, {len(made.workflows)} workflows, "
        f"{made.calls} calls in {made.span_s:.4g} s",
        err=True,
    )
