"""Tables for people: as wide as the terminal, but never at the cost of a name or a figure."""

import os

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

ENDLESS = 10_000
"""Columns of a pipe or file, which nothing has to fit into."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave a reader that is gone to `main`; rich's own way out is exit code 1."""
        raise BrokenPipeError


def new_console() -> Console:
    """Return a console on stdout; off a terminal nothing is wrapped, unless COLUMNS says so."""
    console = _Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = ENDLESS
    return console


def print_table(console: Console, table: Table) -> None:
    """Print a table in the console's width, or the least that it can do with.

    Below that, words and columns that do not wrap would be cut: lines are then left to the
    terminal to break.
    """
    wide = console.options.update(width=ENDLESS)
    for column in table.columns:
        # Rich shrinks columns below their longest word where nothing says otherwise.
        sizes = [Measurement.get(console, wide, cell) for cell in (column.header, *column.cells)]
        needed = max(size.maximum if column.no_wrap else size.minimum for size in sizes)
        column.min_width = max(needed, column.min_width or 0)
    least = Measurement.get(console, wide, table).minimum
    before = console.width
    console.width = max(before, least)
    try:
        console.print(table)
    finally:
        console.width = before


def seconds(value: float) -> str:
    """Return a duration with the unit that suits it: ms, s or min."""
    if value < 1.0:
        return f"{value * 1000:.3g} ms"
    return f"{value:.3g} s" if value < 120.0 else f"{value / 60.0:.1f} min"


def seconds_range(low: float, high: float) -> str:
    """Return a range of durations, its unit once where both have the same."""
    first, last = seconds(low), seconds(high)
    if first == last:
        return first
    same_unit = first.rpartition(" ")[2] == last.rpartition(" ")[2]
    return f"{first.rpartition(' ')[0] if same_unit else first}–{last}"
