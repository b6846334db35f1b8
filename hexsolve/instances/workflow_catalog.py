"""Workflow classes that ship: one per published shape, at 1 workflow/s."""

from functools import lru_cache
from importlib import resources

from hexsolve.instances.files import parse_data
from hexsolve.instances.validation import validated
from hexsolve.models.base import Record
from hexsolve.models.workload import WorkflowClass


class _File(Record):
    about: str
    workflows: tuple[WorkflowClass, ...]


@lru_cache(maxsize=1)
def load_workflow_classes() -> dict[str, WorkflowClass]:
    """Return the shipped workflow classes by name; rates are placeholders of 1/s."""
    name = "workflows.yaml"
    text = resources.files("hexsolve.instances.catalog").joinpath(name).read_text("utf-8")
    read = validated(_File, parse_data(text, f"catalog/{name}"), f"catalog/{name}")
    return {workflow.name: workflow for workflow in read.workflows}
