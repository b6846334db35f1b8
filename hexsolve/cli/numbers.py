"""Numbers on the command line."""

from math import isfinite
from typing import Any

import click


class FiniteFloat(click.FloatRange):
    """A float in a range; unlike click's own it refuses NaN and infinities."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number or fail with click's usage error."""
        number = float(super().convert(value, param, ctx))
        if not isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number
