"""Predicting the rows of a table with what a catalog holds: the error per group."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from hexsolve.instances.calibration.table import PHASES, Row, grouped
from hexsolve.instances.catalog import Catalog
from hexsolve.instances.performance import StepCoefficients, step_coefficients
from hexsolve.models.base import Record


class GroupError(Record):
    """How well one phase of one (model, GPU, tp) is predicted; errors are fractions."""

    model: str
    gpu: str
    tp: int
    phase: Literal["prefill", "decode"]
    rows: int
    mape: float
    bias: float
    worst: float
    origin: Literal["measured", "roofline"]
    extrapolated_rows: int


class PhaseError(Record):
    """Mean absolute relative error over all rows of a phase; null without rows."""

    mape: float | None
    rows: int


class Overall(Record):
    """Errors over a whole table."""

    prefill: PhaseError
    decode: PhaseError


class Evaluation(Record):
    """Errors over a whole table and per group."""

    overall: Overall
    groups: tuple[GroupError, ...]


def evaluate(
    rows: Sequence[Row],
    catalog: Catalog,
    progress: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Predict every row with the coefficients of a catalog.

    Rows of a group without coefficients are predicted by the roofline and all count as
    extrapolated; others count where they lie outside the range that was fitted.
    """
    groups = []
    errors: dict[str, list[float]] = {phase: [] for phase in PHASES}
    for (name, gpu, tp), phases in grouped(rows).items():
        steps = step_coefficients(catalog, catalog.llms[name], catalog.gpus[gpu], tp)
        for phase, group in phases.items():
            if group:
                relative = [predict(steps, row) / row.seconds - 1.0 for row in group]
                errors[phase] += relative
                groups.append(_group_error(group, relative, steps))
        progress(f"{name} on {gpu} tp {tp}")
    return Evaluation(
        overall=Overall(
            prefill=_phase_error(errors["prefill"]), decode=_phase_error(errors["decode"])
        ),
        groups=tuple(groups),
    )


def merged(parts: Sequence[Evaluation]) -> Evaluation:
    """Return one evaluation of several tables' rows together."""
    return Evaluation(
        overall=Overall(
            prefill=_pooled([part.overall.prefill for part in parts]),
            decode=_pooled([part.overall.decode for part in parts]),
        ),
        groups=tuple(group for part in parts for group in part.groups),
    )


def _pooled(phases: Sequence[PhaseError]) -> PhaseError:
    rows = sum(phase.rows for phase in phases)
    total = sum((phase.mape or 0.0) * phase.rows for phase in phases)
    return PhaseError(mape=total / rows if rows else None, rows=rows)


def predict(steps: StepCoefficients, row: Row) -> float:
    """Return the predicted time of a row, s."""
    if row.phase == "decode":
        return steps.decode.step_seconds(row.batch, row.batch * row.cached)
    tokens = row.batch * row.new
    return steps.prefill.seconds(tokens, tokens * (row.cached + row.new / 2.0))


def _extrapolates(steps: StepCoefficients, row: Row) -> bool:
    if steps.measured is None:
        return True
    if row.phase == "decode":
        return steps.measured.decode_extrapolates(row.batch, row.batch * row.cached)
    return steps.measured.prefill_extrapolates(row.new, row.cached, row.batch)


def _group_error(
    group: Sequence[Row], relative: Sequence[float], steps: StepCoefficients
) -> GroupError:
    first = group[0]
    return GroupError(
        model=first.llm,
        gpu=first.gpu,
        tp=first.tp,
        phase="decode" if first.phase == "decode" else "prefill",
        rows=len(group),
        mape=float(np.mean(np.abs(relative))),
        bias=float(np.mean(relative)),
        worst=float(max(relative, key=abs)),
        origin="roofline" if steps.measured is None else "measured",
        extrapolated_rows=sum(_extrapolates(steps, row) for row in group),
    )


def _phase_error(relative: Sequence[float]) -> PhaseError:
    mape = float(np.mean(np.abs(relative))) if relative else None
    return PhaseError(mape=mape, rows=len(relative))
