"""The instance file: what a planner writes, in names or inline definitions."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from hexsolve.models.assumptions import PlanningAssumptions
from hexsolve.models.base import Record
from hexsolve.models.hardware import GPU, Cluster, Name, Positive
from hexsolve.models.llm import LLM
from hexsolve.models.problem import ROLES, Role
from hexsolve.models.workload import MAX_CLASSES, Rate, WorkflowClass

Factor = Annotated[float, Field(ge=1e-9, le=1e12)]
# No workflow is faster than alone on the cluster.
Scale = Annotated[float, Field(ge=1.0, le=1e12)]
# Beyond this range flows drown in solver tolerances; scale the rates instead.
LoadFactor = Annotated[float, Field(ge=1e-3, le=1e6)]


def _name_or_inline(value: Any) -> str:
    return "name" if isinstance(value, str) else "inline"


NamedLLM = Annotated[
    Annotated[Name, Tag("name")] | Annotated[LLM, Tag("inline")], Discriminator(_name_or_inline)
]
NamedCluster = Annotated[
    Annotated[Name, Tag("name")] | Annotated[Cluster, Tag("inline")],
    Discriminator(_name_or_inline),
]


class WorkflowUse(Record):
    """A workflow class of the catalog at a rate of one's own."""

    use: Name = Field(description="name of a workflow class in the catalog")
    name: Name | None = Field(default=None, description="another name for it in this instance")
    rate_per_s: Rate = Field(description="workflows arriving per second at load 1")
    ttft_limit_s: Positive | None = Field(
        default=None, description="mean time to first token allowed for every call, s"
    )
    tpot_limit_s: Positive | None = Field(
        default=None, description="mean time per output token allowed for every call, s"
    )


def _use_or_inline(value: Any) -> str:
    if isinstance(value, WorkflowUse) or (isinstance(value, dict) and "use" in value):
        return "use"
    return "inline"


Workflow = Annotated[
    Annotated[WorkflowUse, Tag("use")] | Annotated[WorkflowClass, Tag("inline")],
    Discriminator(_use_or_inline),
]


class WorkloadSection(Record):
    """The workload of an instance: own workflow classes and uses of the catalog's."""

    classes: tuple[Workflow, ...] = Field(min_length=1, max_length=MAX_CLASSES)
    burstiness: float = Field(
        default=1.0, ge=1.0, le=1000.0, description="(1 + CV²)/2 of inter-arrival times"
    )
    approximation: str = Field(default="", description="how the classes were obtained")


Power = Literal[1, 2, 4, 8, 16, 32, 64]


class Engines(Record):
    """Which engines may be built."""

    tensor_parallel: tuple[Power, ...] = Field(
        default=(1, 2, 4, 8), min_length=1, description="GPUs that share every layer"
    )
    pipeline_parallel: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(
        default=(1,), min_length=1, description="pipeline stages"
    )
    roles: tuple[Role, ...] = Field(default=ROLES, min_length=1)

    @model_validator(mode="after")
    def _both_phases(self) -> "Engines":
        if "mixed" not in self.roles and not {"prefill", "decode"} <= set(self.roles):
            raise ValueError("roles must hold mixed, or prefill and decode; allowed: all three")
        return self


class Instance(Record):
    """A planning instance as written in YAML or JSON."""

    schema_version: Literal[1] = 1
    name: Name = "instance"
    description: str = ""
    llm: NamedLLM
    cluster: NamedCluster
    workload: WorkloadSection
    slo_scale: Scale | None = Field(
        default=None,
        description="mean workflow latency allowed, in multiples of the standalone horizon",
    )
    load: LoadFactor = Field(default=1.0, description="factor on all arrival rates")
    budget_per_hour: Factor | None = Field(default=None, description="US$/h")
    engines: Engines = Engines()
    assumptions: PlanningAssumptions = PlanningAssumptions()
    gpus: tuple[GPU, ...] = Field(
        default=(), max_length=1000, description="GPU types beside the catalog's"
    )
    llms: tuple[LLM, ...] = Field(
        default=(), max_length=1000, description="LLMs beside the catalog's"
    )
    coefficients: str | None = Field(
        default=None,
        description="file of own latency coefficients (`hexsolve calibrate fit -o`), relative to "
        "the instance file",
    )
