"""Fitting one set of coefficients per (LLM, GPU, tp) of a table.

Where a table ends, the roofline's shape takes over: a few of its points beyond the largest
measured batch and context, scaled to the table, enter the fit with little weight.
"""

from collections.abc import Callable, Sequence

import numpy as np

from hexsolve.instances.calibration.beyond import beyond_decode, beyond_prefill
from hexsolve.instances.calibration.evaluate import predict
from hexsolve.instances.calibration.table import Group, Row, grouped
from hexsolve.instances.catalog import Catalog
from hexsolve.instances.performance import StepCoefficients, gpu_efficiency
from hexsolve.models.errors import InputError
from hexsolve.models.fitted import FittedCoefficients
from hexsolve.models.fitting import fit_decode, fit_prefill
from hexsolve.models.hardware import GPU
from hexsolve.models.latency import MeasuredRange
from hexsolve.models.llm import LLM
from hexsolve.models.roofline import GPUEfficiency, Roofline

# Fewest rows of a phase that determine its coefficients.
LEAST_ROWS = 6
# Candidates for the share of experts one token touches, relative to k/E: routing is skewed.
SKEWS = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 1.0)


def fit_table(
    rows: Sequence[Row],
    catalog: Catalog,
    source: str,
    progress: Callable[[str], None] = lambda _: None,
) -> list[FittedCoefficients]:
    """Fit every (LLM, GPU, tp) of a table that has rows of both phases.

    Parameters
    ----------
    rows : sequence of Row
    catalog : Catalog
        Defines the LLMs of the table.
    source : str
        Named in the result.
    progress : callable
        Called with a description of each group once it is fitted.

    Raises
    ------
    InputError
        A group has fewer than `LEAST_ROWS` rows in a phase.
    """
    fits = []
    for group, phases in grouped(rows).items():
        llm, gpu = catalog.llms[group[0]], catalog.gpus[group[1]]
        fits.append(_fit_group(group, phases, llm, gpu, gpu_efficiency(catalog, gpu), source))
        progress(f"{group[0]} on {group[1]} tp {group[2]}")
    return fits


def active_shares(llm: LLM) -> list[float]:
    """Return candidates for `DecodeCoefficients.active_share`."""
    if not llm.experts:
        return [0.0]
    return [skew * llm.active_experts / llm.experts for skew in SKEWS]


def _fit_group(
    group: Group,
    phases: dict[str, list[Row]],
    llm: LLM,
    gpu: GPU,
    efficiency: GPUEfficiency,
    source: str,
) -> FittedCoefficients:
    for phase, rows in phases.items():
        if len(rows) < LEAST_ROWS:
            raise InputError(
                f"{group[0]} on {group[1]} tp {group[2]} has {len(rows)} {phase} rows; "
                f"allowed: at least {LEAST_ROWS} of each phase",
                source=source,
            )
    prefills, decodes = phases["prefill"], phases["decode"]
    roofline = Roofline(llm, gpu, group[2], efficiency)
    beyond, weights = beyond_prefill(prefills, roofline)
    prefill, _ = fit_prefill(
        [(r.batch, r.new, r.cached, r.seconds) for r in prefills] + beyond, importance=weights
    )
    further, weights = beyond_decode(decodes, roofline)
    decode, _ = fit_decode(
        [(r.batch, r.cached, r.seconds) for r in decodes] + further,
        active_shares(llm),
        importance=weights,
    )
    steps = StepCoefficients(prefill, decode, None)
    return FittedCoefficients(
        llm=group[0],
        gpu=group[1],
        tp=group[2],
        prefill=prefill,
        decode=decode,
        measured=MeasuredRange(
            new_tokens=_span([row.new for row in prefills]),
            cached_tokens=_span([row.cached for row in prefills]),
            prefill_batch=_span([row.batch for row in prefills]),
            decode_batch=_span([row.batch for row in decodes]),
            context=_span([row.cached for row in decodes]),
        ),
        prefill_rows=len(prefills),
        decode_rows=len(decodes),
        prefill_mape=_mape(steps, prefills),
        decode_mape=_mape(steps, decodes),
        source=source,
    )


def _mape(steps: StepCoefficients, rows: Sequence[Row]) -> float:
    return float(np.mean([abs(predict(steps, row) / row.seconds - 1.0) for row in rows]))


def _span(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)
