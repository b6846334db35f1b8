"""Options that every command with a MILP behind it takes: when the solver may stop."""

import os
from collections.abc import Callable
from typing import Any

import click

from hexsolve.cli.numbers import FiniteFloat

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def time_limit(default: float, per: str) -> Decorator:
    """Return ``--time-limit``: seconds of wall time; `per` says what each limit is for."""
    return click.option(
        "--time-limit",
        type=FiniteFloat(min=0.1, max=1e7),
        default=default,
        show_default=True,
        help=f"Seconds for {per}.",
    )


def gap(default: float) -> Decorator:
    """Return ``--gap``: the relative optimality gap at which the solver may stop."""
    return click.option(
        "--gap",
        type=FiniteFloat(min=0.0, max=10.0),
        default=default,
        show_default=True,
        help="Relative optimality gap at which it may stop; 0 = prove the optimum.",
    )


def grid() -> Decorator:
    """Return ``--grid``: how fine the grid of operating points is."""
    return click.option(
        "--grid",
        type=click.IntRange(1, 4),
        default=1,
        show_default=True,
        help="How fine the grid of operating points is that plans and bounds are about; each step "
        "takes longer.",
    )


def threads() -> Decorator:
    """Return ``--threads``: solver threads; 1 repeats exactly."""
    return click.option(
        "--threads",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Solver threads.",
    )
