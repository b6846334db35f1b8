"""Lower bounds on Req95 for the instances of a study, each worked out once per workload."""

import time
from typing import NamedTuple

from hexsolve.models.errors import HexsolveError
from hexsolve.solver.optimum.bounds import best_bound, lower_bounds
from hexsolve.studies.cells import prepared
from hexsolve.studies.schema import Study

PERCENT = 95.0


class BoundCell(NamedTuple):
    """A workload whose bound is wanted; `kind` keeps it apart from tuples of other kinds."""

    instance: str
    seed: int
    kind: str = "bound"


class BoundOutcome(NamedTuple):
    """The largest bound on Req95 and which one it is; 0 and the error if there is none."""

    cell: BoundCell
    value: float
    method: str
    wall_s: float


def bound_cells(study: Study) -> list[BoundCell]:
    """Return the workloads of a study if it asks for bounds, sorted."""
    if not study.bounds:
        return []
    return sorted(
        BoundCell(instance.name, seed)
        for instance in study.instances
        for seed in study.seeds_of(instance)
    )


def run_bound(study: Study, cell: BoundCell) -> BoundOutcome:
    """Work out a bound that no policy beats (docs/bounds.md); failing is an outcome, too."""
    started = time.perf_counter()
    instance = next(each for each in study.instances if each.name == cell.instance)
    try:
        cluster, workflows, horizons = prepared(instance.model_dump_json(), cell.seed)
        found = lower_bounds(cluster, workflows, horizons, (PERCENT,), study.bounds_time_limit_s)
        best = best_bound(found, PERCENT)
        value, method = best.value, best.method
    except HexsolveError as error:
        value, method = 0.0, "error: " + " ".join(str(error).split())
    return BoundOutcome(cell, value, method, time.perf_counter() - started)
