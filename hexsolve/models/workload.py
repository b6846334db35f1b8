"""Planning classes: a workload as rates of workflow classes, each a small DAG of call classes."""

from typing import Annotated

import networkx as nx
from pydantic import Field, model_validator

from hexsolve.models.base import Record
from hexsolve.models.hardware import Name, NonNegative, Positive

# Beyond these, figures are mistakes or units mixed up, and products of them (tokens² per second)
# leave the range in which a solver's tolerances mean anything.
Tokens = Annotated[float, Field(ge=1e-3, le=1e8)]
Rate = Annotated[float, Field(ge=1e-9, le=1e9)]
Number = Annotated[float, Field(ge=1e-9, le=1e6)]
MAX_CLASSES = 1000


class CallClass(Record):
    """LLM calls that are alike, at one place of a workflow's DAG.

    A workflow makes `repeat · parallel` such calls on average: `repeat` one after another,
    each time `parallel` siblings at once. Token counts are means per call.
    """

    name: Name
    new_tokens: Tokens = Field(description="prompt tokens that must be prefilled, per call")
    cached_tokens: NonNegative = Field(
        default=0.0, le=1e8, description="prompt tokens whose KV an earlier call left, per call"
    )
    output_tokens: Tokens = Field(description="tokens generated, per call")
    new_tokens_cv: NonNegative = Field(
        default=0.0, le=1e4, description="standard deviation of new_tokens inside the class / mean"
    )
    repeat: Number = Field(default=1.0, description="mean sequential repetitions")
    parallel: Number = Field(default=1.0, description="mean siblings in flight together")
    tool_seconds: NonNegative = Field(
        default=0.0, le=1e8, description="mean tool or think time before each repetition, s"
    )
    after: tuple[Name, ...] = Field(default=(), description="call classes that must end first")

    @property
    def prompt_tokens(self) -> float:
        """Prompt tokens of a call, new and cached."""
        return self.new_tokens + self.cached_tokens

    @property
    def calls_per_workflow(self) -> float:
        """Calls of this class that one workflow makes."""
        return self.repeat * self.parallel


class WorkflowClass(Record):
    """Workflows that are alike: their rate and their DAG of call classes."""

    name: Name
    rate_per_s: Rate = Field(description="workflows arriving per second at load 1")
    calls: tuple[CallClass, ...] = Field(min_length=1, max_length=MAX_CLASSES)
    ttft_limit_s: Positive | None = Field(
        default=None, description="mean time to first token allowed for every call, s"
    )
    tpot_limit_s: Positive | None = Field(
        default=None, description="mean time per output token allowed for every call, s"
    )

    @model_validator(mode="after")
    def _is_a_dag(self) -> "WorkflowClass":
        names = [call.name for call in self.calls]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"call class {twice[0]!r} is defined twice in workflow {self.name!r}")
        for call in self.calls:
            for parent in call.after:
                if parent not in names:
                    raise ValueError(
                        f"call class {call.name!r} comes after {parent!r}, which does not exist; "
                        f"known: {', '.join(names)}"
                    )
        if not nx.is_directed_acyclic_graph(self.graph()):
            raise ValueError(f"the calls of workflow {self.name!r} form a cycle through `after`")
        return self

    def graph(self) -> "nx.DiGraph[str]":
        """Return the DAG; nodes are call-class names in file order."""
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(call.name for call in self.calls)
        graph.add_edges_from((parent, call.name) for call in self.calls for parent in call.after)
        return graph

    def order(self) -> list[str]:
        """Return the call-class names, parents first, otherwise in file order."""
        place = {call.name: index for index, call in enumerate(self.calls)}
        return list(nx.lexicographical_topological_sort(self.graph(), key=place.__getitem__))


class Workload(Record):
    """All workflow classes that arrive together."""

    classes: tuple[WorkflowClass, ...] = Field(min_length=1, max_length=MAX_CLASSES)
    burstiness: float = Field(
        default=1.0,
        ge=1.0,
        le=1000.0,
        description="factor on the mean prefill wait of Poisson arrivals; (1 + CV²)/2 for "
        "inter-arrival times with coefficient of variation CV",
    )
    approximation: str = Field(
        default="", description="how the classes were obtained and how far off they are"
    )

    @model_validator(mode="after")
    def _unique_names(self) -> "Workload":
        names = [workflow.name for workflow in self.classes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"workflow class {twice[0]!r} is defined twice")
        return self
