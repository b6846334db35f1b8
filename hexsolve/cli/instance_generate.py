"""``hexsolve instance generate``: a complete instance from a published workload shape."""

from pathlib import Path

import click

from hexsolve.cli.instance_options import (
    POSITIVE,
    check_names,
    check_output,
    chosen_rate,
    chosen_scale,
    finish,
    limited,
    shared_options,
)
from hexsolve.cli.working import working
from hexsolve.instances.write import instance_data
from hexsolve.models.errors import InputError


@click.command("generate", epilog="Example: hexsolve instance generate chat --rate 2 -o chat.yaml")
@click.argument("shape")
@shared_options
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Of the sample from which the classes are made.",
)
@click.option("--ttft", type=POSITIVE, help="Mean time to first token allowed, s.")
@click.option("--tpot", type=POSITIVE, help="Mean time per output token allowed, s.")
def generate(
    shape: str,
    rate: float | None,
    llm: str,
    cluster: str,
    slo_scale: float | None,
    classes: int,
    output: Path | None,
    seed: int,
    ttft: float | None,
    tpot: float | None,
) -> None:
    """Generate an instance of a workload SHAPE; `hexsolve instance list` names them."""
    from hexsolve.instances.catalog.names import Names
    from hexsolve.instances.generators import SHAPES

    shape = Names("shape", [(name, ()) for name in SHAPES]).resolve(shape, field="SHAPE")
    llm, cluster = check_names(llm, cluster)
    check_output(output)
    made = SHAPES[shape]
    with working(f"generating {shape}"):
        try:
            if rate is None:
                unit = made.workload(1.0, max_classes=classes, seed=seed)
                rate = chosen_rate(shape, llm, cluster, unit, shape)
                click.echo(
                    f"rate {rate:g} workflows/s: about a third of what {cluster} can serve; "
                    "--rate sets another",
                    err=True,
                )
            workload = made.workload(rate, max_classes=classes, seed=seed)
        except InputError as error:
            raise error if error.source else error.at(shape) from None
    scale = chosen_scale(slo_scale, workload)
    data = instance_data(shape, llm, cluster, scale, limited(workload, ttft, tpot))
    origin = [
        f"{shape}: {made.description} ({made.source})",
        f"Made by hexsolve instance generate {shape} --rate {rate:g} --llm {llm} "
        f"--cluster {cluster} --slo-scale {scale:g} --classes {classes} --seed {seed}",
    ]
    finish(data, origin, output)
