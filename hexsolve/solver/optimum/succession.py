"""Successions of annealing runs: from the incumbent, and once that is stuck also anew."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from hexsolve.solver.optimum.start import Incumbent

State = TypeVar("State")

YOUNG = 0.75
"""How often a young chain goes on in place of the incumbent's that is stuck."""


@dataclass(slots=True)
class Chain(Generic[State]):
    """A succession of runs, each from where the last one was best.

    Attributes
    ----------
    state : State
        What the next run begins with.
    value : float
        The least Req_q of the last run.
    stale : int
        Runs since one has found anything better.
    """

    state: State
    value: float = float("inf")
    stale: int = 0

    def ended(self, state: State, value: float) -> None:
        """Go on from what was best in a run."""
        self.stale = 0 if value < self.value else self.stale + 1
        self.state, self.value = state, value


class Chains(Generic[State]):
    """The incumbent's chain and a young one, of which one at a time goes on.

    Single runs end percents apart, by chance, and most do not come away from where they are.

    Parameters
    ----------
    incumbent : Incumbent
    rng : numpy Generator
    patience : int
        Runs without a gain after which a chain is stuck.
    current, anew : callable
        Return what a chain begins with: the incumbent as it is, and another start.
    """

    def __init__(
        self,
        incumbent: Incumbent,
        rng: np.random.Generator,
        patience: int,
        current: Callable[[], State],
        anew: Callable[[], State],
    ) -> None:
        self._incumbent, self._rng, self._patience = incumbent, rng, patience
        self._current, self._anew = current, anew
        self._followed = float("inf")
        self.main, self.young = Chain(anew()), Chain(anew())

    def drawn(self) -> Chain[State]:
        """Return the chain that goes on: the incumbent's, or if that is stuck mostly the young one.

        What others have found is where the incumbent's goes on. A young chain that is stuck as well
        makes room for the next.
        """
        if self._incumbent.value < min(self.main.value, self._followed):
            self.main, self._followed = Chain(self._current()), self._incumbent.value
        if self.main.stale < self._patience or self._rng.random() >= YOUNG:
            return self.main
        if self.young.stale >= self._patience:
            self.young = Chain(self._anew())
        return self.young
