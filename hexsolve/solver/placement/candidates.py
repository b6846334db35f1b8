"""Candidate groups: an engine in a role at an operating point, reduced to plain numbers.

Every rule of one group has the form ``Σ_c a_c · flow_c ≤ N`` once it is divided by what one
instance offers, so a candidate is a set of usage vectors and two latency vectors.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hexsolve.models.latency import EnginePerformance
from hexsolve.models.plan import DecodeStep, OperatingPoint
from hexsolve.models.problem import PlanningProblem, Role
from hexsolve.solver.placement.traffic import Traffic, Vector

Mask = NDArray[np.bool_]
# What differs by less is the same number, rounded on another way.
ROUNDING = 1.0 + 1e-12


@dataclass(frozen=True)
class Candidate:
    """One (engine, role, operating point) that the plan may use.

    Attributes
    ----------
    usage : dict of str to Vector
        Rule name → share of one instance that one call/s of each class takes; a rule holds
        iff ``usage · flow ≤ count``.
    ttft, decode_seconds : Vector
        Promised time to first token, and from first to last token, per class, s. Zero for
        the phase that the role does not do.
    lag : Vector
        How much later than the mean the last of a call's siblings is, s.
    bandwidth : float
        Network bandwidth of one instance, bytes/s.
    serves : Mask
        Classes that may be served: they fit the KV pool and meet TTFT and TPOT limits.
    key : str
        Short name, unique within a problem.
    """

    engine: EnginePerformance
    role: Role
    point: OperatingPoint
    usage: dict[str, Vector]
    ttft: Vector
    decode_seconds: Vector
    bandwidth: float
    serves: Mask
    lag: Vector
    key: str = ""

    @property
    def gpus(self) -> int:
        """GPUs of one instance."""
        return self.engine.tp * self.engine.pp

    @property
    def latency(self) -> Vector:
        """Time to first token plus decode time, of the last of siblings, s per class."""
        return self.ttft + self.decode_seconds + self.lag

    @property
    def burst_share(self) -> float:
        """``φ``: most of a class with siblings that one instance may serve, as a share."""
        return 1.0 if isinstance(self.point, DecodeStep) else self.point.burst_share


def engine_key(engine: EnginePerformance) -> str:
    """Return a short identifier such as ``h100_tp4_pp1``."""
    return f"{engine.gpu}_tp{engine.tp}_pp{engine.pp}"


def binding_rules(usage: dict[str, Vector], serves: Mask) -> dict[str, Vector]:
    """Return the rules that no other rule implies, over the classes served.

    A rule whose usage is nowhere above another's is implied by it: most of a candidate's six
    or so rules go, and the answer cannot change.
    """
    names = list(usage)
    table = np.array([usage[name][serves] for name in names])
    below: Mask = np.all(table[:, None, :] <= table[None, :, :], axis=2)
    kept: dict[str, Vector] = {}
    for mine, name in enumerate(names):
        implied = any(
            below[mine, other] and (not below[other, mine] or other < mine)
            for other in range(len(names))
            if other != mine
        )
        if not implied:
            kept[name] = usage[name]
    return kept


def most_load(problem: PlanningProblem, traffic: Traffic, candidates: list[Candidate]) -> float:
    """Return a load that no plan can exceed: that of each phase of each class alone, the least.

    With one class in the cluster, θ · r = Σ flow ≤ Σ_g count_g / usage_g. Infinite where a
    class takes nothing of any candidate.
    """
    gpus = {pool.gpu: float(pool.gpus) for pool in problem.cluster.pools}
    most = {phase: np.zeros((len(gpus), len(traffic))) for phase in ("prefill", "decode")}
    place = {gpu: index for index, gpu in enumerate(gpus)}
    for candidate in candidates:
        index = place[candidate.engine.gpu]
        usage = np.max(list(candidate.usage.values()), axis=0) * traffic.rate
        with np.errstate(divide="ignore"):
            load = gpus[candidate.engine.gpu] / candidate.gpus / usage
        load = np.where(candidate.serves, load, 0.0)
        for phase, found in most.items():
            if candidate.role in (phase, "mixed"):
                found[index] = np.maximum(found[index], load)
    return float(min(found.sum(axis=0).min() for found in most.values()))


def without_dominated(candidates: list[Candidate], most: Vector | None = None) -> list[Candidate]:
    """Return the candidates of one engine and role that no other one dominates.

    A candidate is dominated when another serves at least the same classes, is nowhere slower,
    and can do with as many instances: it spreads siblings no wider, and each of its rules is
    implied by one of the candidate's, or a single instance of it can serve everything there is.
    Of equal ones the first stays.

    Parameters
    ----------
    candidates : list of Candidate
        Of one engine in one role.
    most : Vector, optional
        Calls/s per class that there are at most; None = unlimited.
    """
    candidates = [candidate for candidate in candidates if bool(candidate.serves.any())]
    if not candidates:
        return []
    table = _Table.of(candidates)
    alive = np.zeros(len(candidates), dtype=np.bool_)
    for index, candidate in enumerate(candidates):
        this = slice(index, index + 1)
        better = np.flatnonzero(alive & table.may_dominate(slice(None), this, most))
        if any(_dominates(candidates[other], candidate, most) for other in better):
            continue
        for other in np.flatnonzero(alive & table.may_dominate(this, slice(None), most)):
            alive[other] = not _dominates(candidate, candidates[other], most)
        alive[index] = True
    return [candidate for candidate, left in zip(candidates, alive, strict=True) if left]


class _Table(NamedTuple):
    """All candidates as arrays of a row each: to pass over at once most of who cannot dominate."""

    latency: NDArray[np.float64]
    serves: Mask
    share: Vector
    largest: NDArray[np.float64]
    usage: NDArray[np.float64]

    @classmethod
    def of(cls, candidates: list[Candidate]) -> "_Table":
        rules = max(len(candidate.usage) for candidate in candidates)
        usage = [list(candidate.usage.values()) for candidate in candidates]
        return cls(
            latency=np.array([candidate.latency for candidate in candidates]),
            serves=np.array([candidate.serves for candidate in candidates]),
            share=np.array([candidate.burst_share for candidate in candidates]),
            largest=np.array([np.max(rows, axis=0) for rows in usage]),
            # The last rule once more where there are fewer.
            usage=np.array([[*rows, *rows[-1:] * (rules - len(rows))] for rows in usage]),
        )

    def may_dominate(self, better: slice, worse: slice, most: Vector | None) -> Mask:
        """Return False where `_dominates` is False for reasons that are cheap to see, (n,).

        One of `better` and `worse` is a slice of one row, the other of all n.
        """
        columns = self.serves[worse]
        idle = ~columns
        quick = (self.latency[better] <= self.latency[worse] * ROUNDING) & self.serves[better]
        # What each rule of another's implies is nowhere above the largest of those.
        lean = self.largest[better] <= self.largest[worse] * ROUNDING
        enough = _everywhere(lean | idle)
        if most is not None:
            taken = (self.usage[better] * np.where(columns, most, 0.0)[..., None, :]).sum(axis=-1)
            enough = enough | _everywhere(taken <= ROUNDING)
        wide = self.share[better] >= self.share[worse]
        return enough & wide & _everywhere(quick | idle)


def _everywhere(table: Mask) -> Mask:
    """Return whether each row is true in all columns."""
    return np.asarray(table.all(axis=-1))


def _dominates(better: Candidate, worse: Candidate, most: Vector | None) -> bool:
    columns = worse.serves
    if better.burst_share < worse.burst_share:
        return False
    if not (
        bool((better.latency[columns] <= worse.latency[columns] * ROUNDING).all())
        and bool(better.serves[columns].all())
    ):
        return False
    if most is not None and all(
        float(values[columns] @ most[columns]) <= 1.0 for values in better.usage.values()
    ):
        return True
    theirs = ROUNDING * np.array([values[columns] for values in worse.usage.values()])
    return all(
        bool((values[columns] <= theirs).all(axis=1).any()) for values in better.usage.values()
    )
