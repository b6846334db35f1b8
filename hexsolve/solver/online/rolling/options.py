"""How the rolling planner works."""

from dataclasses import dataclass

from hexsolve.models.errors import InputError


@dataclass(frozen=True, slots=True)
class RollingOptions:
    """How the planner works.

    Attributes
    ----------
    budget_ms : float
        Wall-clock time of an epoch; also what a simulation charges for it.
    epoch_s : float or None
        Plan at least this often, s, also where nothing became ready or complete; None = only at
        such changes.
    deterministic : bool
        Count work instead of time: reruns are equal to the last bit. Otherwise the budget is
        real time, and CP-SAT runs in a process of its own.
    workers : int
        Threads of CP-SAT with a real budget.
    congestion_price : float
        See `ProjectedPolicy`.
    look_ahead : bool
        See `ProjectedPolicy`.
    cp_sat, local_search : bool
        What is tried on top of the greedy plan; for ablations.
    calm_ratio : float
        Below this projected slowdown of the worst workflow nothing is re-planned: there is nothing
        to gain, and a plan that is carried out later can only lose against deciding anew.
    least_gain : float
        By this share of the projected slowdown a plan must be better than deciding anew.
    power : float
        Exponent of the score; see `score`.
    seed : int
    """

    budget_ms: float = 50.0
    epoch_s: float | None = None
    deterministic: bool = True
    workers: int = 2
    congestion_price: float = 1.0
    look_ahead: bool = False
    cp_sat: bool = True
    local_search: bool = True
    calm_ratio: float = 1.25
    least_gain: float = 0.01
    power: float = 12.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1.0 <= self.budget_ms <= 60_000.0:
            raise InputError(f"is {self.budget_ms}; allowed: 1…60000 ms", field="--budget-ms")
        if self.epoch_s is not None and not 1e-3 <= self.epoch_s <= 1e6:
            raise InputError(f"is {self.epoch_s}; allowed: 0.001…1000000 s", field="--epoch-s")
