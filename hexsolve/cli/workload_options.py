"""Options that say which workflows run, shared by the commands that draw them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from hexsolve.cli.numbers import FiniteFloat
from hexsolve.cli.run_length import MOST_WORKFLOWS

Command = TypeVar("Command", bound=Callable[..., Any])
POSITIVE = FiniteFloat(min=1e-9, max=1e9)

_OPTIONS = (
    click.argument("plan_or_instance", required=False, type=click.Path(path_type=Path)),
    click.option(
        "--instance",
        type=click.Path(path_type=Path),
        help="The instance that PLAN_OR_INSTANCE, an answer of `hexsolve plan`, was made for.",
    ),
    click.option(
        "--workload",
        default="classes",
        show_default=True,
        metavar="NAME|FILE",
        help="classes: those of the instance; a generator's name; a workflow file or a trace.",
    ),
    click.option(
        "-n",
        "--workflows",
        "count",
        type=click.IntRange(1, MOST_WORKFLOWS),
        help="How many. Left out: as many as arrive in 20 times what the slowest class takes, at "
        "least 200, at most about 20,000 calls; of a file, all.",
    ),
    click.option("--rate", type=POSITIVE, help="Workflows/s."),
    click.option(
        "--cv",
        type=POSITIVE,
        help="Coefficient of variation of the gaps between arrivals; 1 = Poisson. Left out: as the "
        "instance's burstiness says for its own classes, else 1.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Of the workflows and arrivals drawn, and of policies that draw.",
    ),
)


def workload_options(command: Command) -> Command:
    """Add them to a command: `plan_or_instance`, `instance`, what `Wanted` holds, `seed`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
