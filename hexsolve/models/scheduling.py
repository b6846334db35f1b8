"""A scheduling instance: a simulated cluster and the workflows that arrive at it."""

from pydantic import Field, model_validator

from hexsolve.models.base import Record
from hexsolve.models.hardware import Name
from hexsolve.models.schedule import scheduling_hash
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.workflow import Workflow


class SchedulingInstance(Record):
    """Everything that a schedule depends on, with true lengths; labels say what it stands for.

    Workflows are in order of arrival, as the simulator numbers their calls.
    """

    name: Name
    description: str = ""
    shape: str = Field(default="", description="what kind of workflows: a generator's name")
    load: str = Field(default="", description="calm, busy or overload")
    llm: str = Field(default="", description="the LLM that all instances serve")
    cluster: SimulatedCluster
    workflows: tuple[Workflow, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_sound(self) -> "SchedulingInstance":
        latest = 0.0
        names: set[str] = set()
        for workflow in self.workflows:
            workflow.validate()
            if workflow.arrival_s < latest:
                raise ValueError(
                    f"workflow {workflow.name!r} arrives before the one it follows; "
                    "allowed: workflows in order of arrival"
                )
            if workflow.name in names:
                raise ValueError(f"workflow name {workflow.name!r} is used twice")
            names.add(workflow.name)
            latest = workflow.arrival_s
        largest = {
            role: max((each.capacity for each in self.cluster.instances if each.role == role),
                      default=0)
            for role in ("prefill", "decode", "mixed")
        }  # fmt: skip
        room = max(largest["mixed"], min(largest["prefill"], largest["decode"]))
        for workflow in self.workflows:
            for call in workflow.calls:
                if call.prompt_tokens + call.output_tokens > room:
                    raise ValueError(
                        f"a call of workflow {workflow.name!r} has "
                        f"{call.prompt_tokens + call.output_tokens} tokens; allowed: at most "
                        f"{room}, the largest KV pool"
                    )
        return self

    @property
    def calls(self) -> int:
        """Calls of all workflows."""
        return sum(len(workflow.calls) for workflow in self.workflows)

    @property
    def span_s(self) -> float:
        """Time from the first arrival to the last, s."""
        return self.workflows[-1].arrival_s - self.workflows[0].arrival_s

    @property
    def digest(self) -> str:
        """`scheduling_hash`: what a schedule or bound belongs to; labels may change without it."""
        return scheduling_hash(self.cluster, self.workflows)
