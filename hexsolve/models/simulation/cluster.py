"""What is simulated: engines with roles, their pools, batches and links."""

from typing import Literal

from pydantic import Field, model_validator

from hexsolve.models.base import Record
from hexsolve.models.hardware import Name, NonNegative, Positive
from hexsolve.models.latency import EnginePerformance

Role = Literal["prefill", "decode", "mixed"]


class SimulatedInstance(Record):
    """One engine and how it is run."""

    name: Name
    role: Role
    performance: EnginePerformance
    nic_bandwidth: Positive = Field(
        default=50e9, description="to and from the instance, each direction, bytes/s"
    )
    kv_capacity_tokens: int | None = Field(
        default=None, gt=0, description="KV pool, tokens; null = performance.kv_capacity_tokens"
    )
    token_budget: int = Field(
        default=8192, gt=0, description="most new tokens of a prefill batch or mixed step"
    )
    max_batch: int = Field(default=256, gt=0, description="most calls in a batch")
    price_per_hour: NonNegative = Field(default=0.0, description="whole instance, US$/h")
    watts: NonNegative = Field(default=0.0, description="board power of all its GPUs, W")

    @property
    def capacity(self) -> int:
        """KV pool in tokens."""
        return self.kv_capacity_tokens or self.performance.kv_capacity_tokens

    @model_validator(mode="after")
    def _budget_covers_batch(self) -> "SimulatedInstance":
        if self.role == "mixed" and self.token_budget < self.max_batch:
            raise ValueError(
                f"token_budget is {self.token_budget}; allowed for a mixed instance: at least "
                f"max_batch = {self.max_batch}, one token per decoding call"
            )
        return self


class Failure(Record):
    """An instance that disappears during a run, and perhaps comes back empty."""

    instance: Name
    at_s: NonNegative = Field(description="time of the failure, s")
    until_s: Positive | None = Field(default=None, description="time of recovery, s; null = never")

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "Failure":
        if self.until_s is not None and self.until_s <= self.at_s:
            raise ValueError(f"until_s is {self.until_s}; allowed: later than at_s = {self.at_s}")
        return self


class SimulatedCluster(Record):
    """Instances in a fixed order, the network between them, and cluster-wide rules."""

    instances: tuple[SimulatedInstance, ...] = Field(min_length=1)
    transfer_latency_s: NonNegative = Field(default=0.0, description="per KV transfer, s")
    prefix_caching: bool = Field(default=True, description="finished calls' KV stays until evicted")
    admission: Literal["predicted", "prompt"] = Field(
        default="predicted",
        description="what must fit before a call is admitted to decode: prompt and predicted "
        "output of all admitted calls, or only what they hold now (as vLLM does)",
    )
    failures: tuple[Failure, ...] = ()

    @model_validator(mode="after")
    def _is_usable(self) -> "SimulatedCluster":
        names = [instance.name for instance in self.instances]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"instance name {twice[0]!r} is used twice")
        roles = {instance.role for instance in self.instances}
        if "mixed" not in roles and roles != {"prefill", "decode"}:
            raise ValueError(
                f"instances have the roles {', '.join(sorted(roles))}; needed: a mixed instance, "
                "or both a prefill and a decode instance"
            )
        for failure in self.failures:
            if failure.instance not in names:
                raise ValueError(f"failure of unknown instance {failure.instance!r}")
        return self

    def with_role(self, role: Role) -> list[int]:
        """Return the numbers of the instances with `role`, ascending."""
        return [i for i, instance in enumerate(self.instances) if instance.role == role]

    @property
    def price_per_hour(self) -> float:
        """US$/h of all instances."""
        return sum(instance.price_per_hour for instance in self.instances)
