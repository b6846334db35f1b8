"""The workflow classes that ship are those that their generators make."""

from importlib import resources

import pytest
import yaml

from hexsolve.instances.generators import SHAPES
from hexsolve.instances.workflow_catalog import load_workflow_classes
from hexsolve.instances.workflow_catalog_build import shipped_workflows


def test_the_shipped_file_is_what_the_generators_make() -> None:
    text = resources.files("hexsolve.instances.catalog").joinpath("workflows.yaml").read_text()
    shipped, made = yaml.safe_load(text), shipped_workflows()
    assert shipped["about"].split() == made["about"].split()
    assert [each["name"] for each in shipped["workflows"]] == [
        each["name"] for each in made["workflows"]
    ]
    for ours, fresh in zip(shipped["workflows"], made["workflows"], strict=True):
        for mine, new in zip(ours["calls"], fresh["calls"], strict=True):
            # Another release of numpy may round the last of six digits the other way.
            assert mine == {
                key: pytest.approx(value, rel=2e-5) if isinstance(value, float) else value
                for key, value in new.items()
            }


def test_every_shape_of_one_workflow_kind_is_a_class() -> None:
    classes = load_workflow_classes()
    assert set(classes) <= set(SHAPES)
    assert {"chat", "coding-agent", "text-to-sql", "tree-search"} <= set(classes)
    for name, workflow in classes.items():
        assert workflow.name == name
        assert workflow.rate_per_s == 1.0
        assert 1 <= len(workflow.calls) <= 6
