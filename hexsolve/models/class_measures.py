"""A simulated run per workflow class, and what the plan promises for it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hexsolve.models import slo
from hexsolve.models.plan import Plan
from hexsolve.models.workflow import Workflow

Floats = npt.NDArray[np.float64]


def class_measures(
    workflows: Sequence[Workflow], flow_s: Floats, alone_s: Sequence[float] | None
) -> list[dict[str, Any]]:
    """Return the measures of each workflow class, sorted by name, as nested plain data.

    Parameters
    ----------
    workflows : sequence of Workflow
        In the order of the run (`Simulation.workflows`).
    flow_s : ndarray
        Completion − arrival of each, s.
    alone_s : sequence of float or None
        H_w of each on the simulated cluster, s; without them there are no slowdowns.

    Returns
    -------
    list of dict
        name, workflows (how many), flow_time_s and slowdown (each mean, p95, max) over all
        workflows of the class, those of the filling and the draining cluster included.
    """
    names = np.array([workflow.workflow_class for workflow in workflows])
    rows: list[dict[str, Any]] = []
    for name in np.unique(names):
        mine = names == name
        row = {
            "name": str(name),
            "workflows": int(mine.sum()),
            "flow_time_s": _spread(flow_s[mine]),
        }
        if alone_s is not None:
            row["slowdown"] = _spread(slo.slowdowns(flow_s[mine], np.asarray(alone_s)[mine]))
        rows.append(row)
    return rows


def with_promises(rows: Sequence[Mapping[str, Any]], plan: Plan) -> list[dict[str, Any]]:
    """Return a row for each class of a plan, with its promise and the simulated SLO scale.

    The scale of a plan is mean latency over the time alone on the *whole inventory*; a slowdown is
    over the time alone on the *planned instances*, which may be slower. So that the two can be
    compared, ``slo_scale`` is the simulated mean latency over the former. Classes of which no
    workflow ran have a row with 0 workflows.
    """
    known = {row["name"]: row for row in rows}
    made: list[dict[str, Any]] = []
    for name, promised in plan.latency_s.items():
        row = dict(known.get(name, {"name": name, "workflows": 0}))
        alone = plan.horizon_s[name]
        row["promised"] = {"latency_s": promised, "slo_scale": promised / alone}
        if row["workflows"]:
            row["slo_scale"] = row["flow_time_s"]["mean"] / alone
        made.append(row)
    return made


def _spread(values: Floats) -> dict[str, float]:
    return {
        "mean": float(values.mean()),
        "p95": slo.required_scale(values, 95),
        "max": float(values.max()),
    }
