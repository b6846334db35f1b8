"""A planning problem with every name resolved: what the solver and the checker are given."""

from typing import Literal

from pydantic import Field, model_validator

from hexsolve.models.assumptions import PlanningAssumptions
from hexsolve.models.base import Record
from hexsolve.models.hardware import GPU, Cluster, Positive
from hexsolve.models.latency import EnginePerformance
from hexsolve.models.llm import LLM
from hexsolve.models.workload import Workload

Role = Literal["prefill", "decode", "mixed"]
ROLES: tuple[Role, ...] = ("prefill", "decode", "mixed")


class PlanningProblem(Record):
    """Cluster, LLM, workload, targets and the engines that could be built.

    `gpus` holds every GPU type of the cluster; `engines` one entry per (GPU type, tp, pp) on
    which the LLM fits.
    """

    name: str
    llm: LLM
    cluster: Cluster
    gpus: tuple[GPU, ...]
    workload: Workload
    engines: tuple[EnginePerformance, ...]
    roles: tuple[Role, ...] = ROLES
    slo_scale: Positive | None = Field(
        default=None, description="α: mean workflow latency ≤ α · standalone horizon; null = none"
    )
    load: Positive = Field(default=1.0, description="factor on all arrival rates")
    budget_per_hour: Positive | None = Field(default=None, description="US$/h; null = none")
    assumptions: PlanningAssumptions = PlanningAssumptions()

    @model_validator(mode="after")
    def _gpus_known(self) -> "PlanningProblem":
        known = {gpu.name for gpu in self.gpus}
        used = [pool.gpu for pool in self.cluster.pools] + [engine.gpu for engine in self.engines]
        for name in used:
            if name not in known:
                raise ValueError(f"GPU type {name!r} is used but not among gpus")
        return self

    def gpu(self, name: str) -> GPU:
        """Return the GPU type called `name`."""
        return next(gpu for gpu in self.gpus if gpu.name == name)

    def price_per_hour(self, gpu: str) -> float:
        """Return US$/h of one GPU of a type: the pool's price, else the catalog's."""
        for pool in self.cluster.pools:
            if pool.gpu == gpu and pool.price_per_hour is not None:
                return pool.price_per_hour
        return self.gpu(gpu).price_per_hour
