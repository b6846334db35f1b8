"""What a study file says."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from hexsolve.models.base import Record
from hexsolve.models.hardware import Name, Positive
from hexsolve.models.proven import Sha256

Counts = dict[str, Annotated[int, Field(gt=0)]]


class StudyInstance(Record):
    """A cluster and a workload; drawn anew for each seed."""

    name: Name
    llm: Name
    prefill: Counts = Field(default={}, description="prefill instances per GPU type")
    decode: Counts = Field(default={}, description="decode instances per GPU type")
    mixed: Counts = Field(default={}, description="mixed instances per GPU type")
    tp: int = Field(default=4, gt=0, description="GPUs per instance")
    transfer_latency_s: float = Field(default=0.005, ge=0.0, description="per KV transfer, s")
    workload: str = Field(description="a generator's name, or a workflow file or trace")
    count: int | None = Field(
        default=None, gt=0, le=1_000_000, description="workflows; null = 100, or the file"
    )
    rate: Positive = Field(description="workflows/s")
    cv: Positive = Field(default=1.0, description="coefficient of variation of gaps; 1 = Poisson")

    @model_validator(mode="after")
    def _has_instances(self) -> "StudyInstance":
        if not self.mixed and not (self.prefill and self.decode):
            raise ValueError("needs mixed instances, or both prefill and decode instances")
        return self


class StoredInstance(Record):
    """A stored cluster and its workload, the same for every seed: run with the first one only."""

    name: Name
    benchmark: str = Field(description="name of a stored instance, or a file")
    digest: Sha256 = Field(description="SHA-256 of cluster and workflows")


def kind(data: Any) -> str:
    """Return which of the two kinds of instance the data are."""
    stored = "benchmark" in data if isinstance(data, dict) else isinstance(data, StoredInstance)
    return "stored" if stored else "drawn"


AnyInstance = Annotated[
    Annotated[StudyInstance, Tag("drawn")] | Annotated[StoredInstance, Tag("stored")],
    Discriminator(kind),
]


class Study(Record):
    """Everything that a study's results depend on."""

    version: Literal[1] = 1
    name: Name
    instances: tuple[AnyInstance, ...] = Field(min_length=1)
    policies: tuple[str, ...] = Field(min_length=1)
    baseline: str = Field(description="the policy that ratios are taken against")
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    predictor: str = "oracle"
    budget_ms: float = Field(default=50.0, ge=1.0, le=60_000.0, description="of rolling-cpsat")
    bounds: bool = Field(default=False, description="work out lower bounds on Req95 and the gaps")
    bounds_time_limit_s: Positive = Field(default=60.0, description="per instance and seed, s")
    gantt: tuple[str, ...] = Field(
        default=(), description="policies whose run of the first instance is drawn"
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> "Study":
        for field, values in (
            ("instances", [each.name for each in self.instances]),
            ("policies", list(self.policies)),
            ("seeds", [str(seed) for seed in self.seeds]),
        ):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"{field} holds {twice[0]!r} twice")
        for policy in self.gantt:
            if policy not in self.policies:
                raise ValueError(f"gantt holds {policy!r}; allowed: some of the policies")
        if self.baseline not in self.policies:
            raise ValueError(f"baseline is {self.baseline!r}; allowed: one of the policies")
        return self

    def seeds_of(self, instance: StudyInstance | StoredInstance) -> tuple[int, ...]:
        """Return the seeds that an instance is run with."""
        return self.seeds[:1] if isinstance(instance, StoredInstance) else self.seeds


EXAMPLE = """\
# hexsolve compare study.yaml -o results/example
version: 1
name: example
policies: [workflow-fcfs, llf, hexagent]   # hexsolve policies lists them
baseline: workflow-fcfs                    # ratios are taken against this one
seeds: [1, 2, 3]                           # each draws the workload anew, the same for all policies
predictor: oracle                          # or class-mean, class-p90, noise-0.5
instances:
  - name: tools
    llm: llama-3.1-70b
    prefill: {a100-80: 1, h100: 1}         # instances per GPU type
    decode: {a100-80: 1, h100: 1}
    tp: 4                                  # GPUs per instance
    workload: tool-calling                 # hexsolve instance list, or a file
    count: 40
    rate: 10.0                             # workflows/s
# - benchmark: xs*                         # stored instances: a name, a pattern or a file
# bounds: true                             # lower bounds, and each policy's gap to them
"""
