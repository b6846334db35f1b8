"""A workflow under way: what the engine knows of it and no policy does."""

from collections.abc import Sequence

from mypy_extensions import mypyc_attr

from hexsolve.models.simulation.calls import RevealedWorkflow
from hexsolve.models.simulation.copies import shallow
from hexsolve.models.workflow import Workflow


@mypyc_attr(allow_interpreted_subclasses=True)
class OpenWorkflow:
    """A workflow that has arrived and is not complete."""

    __slots__ = ("children", "first", "left", "missing", "revealed", "workflow")

    def __init__(self, workflow: Workflow, first: int, revealed: RevealedWorkflow) -> None:
        self.workflow = workflow
        self.first = first
        self.revealed = revealed
        calls = workflow.calls
        self.left = len(calls)
        self.missing = [len(call.parents) for call in calls]
        self.children: list[list[int] | None] = [None] * len(calls)
        for index, call in enumerate(calls):
            parents: Sequence[int] = call.parents
            if len(parents) > 1:
                parents = sorted(set(parents))
                self.missing[index] = len(parents)
            for parent in parents:
                children = self.children[parent]
                if children is None:
                    self.children[parent] = [index]
                else:
                    children.append(index)

    def copy(self, revealed: RevealedWorkflow) -> "OpenWorkflow":
        """Return a copy for a clone of the simulation."""
        twin = shallow(self)
        twin.revealed = revealed
        twin.missing = self.missing.copy()
        return twin
