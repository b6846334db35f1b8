"""A workflow shape: how to generate it, and the published figures it is calibrated to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from hexsolve.instances.classes import DEFAULT_CLASSES, from_workflows
from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Workflow
from hexsolve.models.workload import Workload

Generate = Callable[[int, Generator], list[Workflow]]

SAMPLE_CALLS = 20_000
"""Calls of the sample from which planning classes are made: ± 1 % on means at a CV of 1.4."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A workflow shape.

    Attributes
    ----------
    name : str
        Its key in `SHAPES`.
    description : str
        One line.
    source : str
        Where its figures come from.
    generate : callable
        ``generate(count, rng)`` gives workflows that arrive at 0.
    """

    name: str
    description: str
    source: str
    generate: Generate

    def workload(
        self, rate: float, *, max_classes: int = DEFAULT_CLASSES, seed: int = 0
    ) -> Workload:
        """Return planning classes made from a generated sample.

        Parameters
        ----------
        rate : float
            Workflows per second.
        max_classes : int
            Most call classes.
        seed : int
            Of the sample.
        """
        rng = np.random.default_rng(seed)
        sample = self.generate(100, rng)
        per_workflow = sum(len(workflow.calls) for workflow in sample) / len(sample)
        more = round(SAMPLE_CALLS / per_workflow) - len(sample)
        if more > 0:
            sample += self.generate(more, rng)
        workload = from_workflows(sample, max_classes=max_classes, rate=rate)
        text = f"generated {self.name}, seed {seed} ({self.source}); {workload.approximation}"
        return workload.model_copy(update={"approximation": text})


def mix(name: str, shapes: Sequence[Shape], weights: Sequence[float] | None = None) -> Shape:
    """Return a shape whose workflows are each of one of `shapes`, drawn with `weights`.

    Parameters
    ----------
    name : str
        Name of the mix.
    shapes : sequence of Shape
        At least one.
    weights : sequence of float, optional
        Share of the workflows, up to a factor; equal if left out.

    Raises
    ------
    InputError
        No shapes, or weights that do not fit them.
    """
    share = np.ones(len(shapes)) if weights is None else np.asarray(weights, dtype=np.float64)
    sound = len(shapes) > 0 and share.shape == (len(shapes),) and bool(np.isfinite(share).all())
    if not sound or share.min() < 0 or share.sum() <= 0:
        raise InputError(
            f"{len(shapes)} shapes with weights {weights}; allowed: at least one shape and as many "
            "weights ≥ 0, not all 0",
            field="weights",
        )
    share = share / share.sum()

    def generate(count: int, rng: Generator) -> list[Workflow]:
        kinds = rng.choice(len(shapes), size=count, p=share)
        made = [
            iter(shape.generate(int((kinds == index).sum()), rng))
            for index, shape in enumerate(shapes)
        ]
        return [next(made[kind]) for kind in kinds.tolist()]

    parts = ", ".join(f"{part:.0%} {each.name}" for part, each in zip(share, shapes, strict=True))
    return Shape(name, f"mix: {parts}", "; ".join(each.source for each in shapes), generate)
