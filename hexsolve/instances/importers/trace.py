"""What every importer returns."""

from dataclasses import dataclass

from hexsolve.models.workflow import Workflow


@dataclass(frozen=True, slots=True)
class ImportedTrace:
    """A trace as workflows.

    Attributes
    ----------
    workflows : list of Workflow
        In file order; arrival times in seconds from the first one, all 0 where the trace has
        none across workflows.
    format : str
        The key in `FORMATS` that read it.
    notes : tuple of str
        What was assumed or estimated, with counts; for the user's eyes.
    has_arrivals : bool
        Whether the arrival times are real.
    """

    workflows: list[Workflow]
    format: str
    notes: tuple[str, ...] = ()
    has_arrivals: bool = False

    @property
    def calls(self) -> int:
        """LLM calls in all workflows."""
        return sum(len(workflow.calls) for workflow in self.workflows)
