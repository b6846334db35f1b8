"""Make `catalog/workflows.yaml`: planning classes of every published shape, from its generator.

Run by ``make catalog``; a test compares the file with what this makes.
"""

from pathlib import Path
from typing import Any

import yaml

from hexsolve.instances.generators.registry import SHAPES
from hexsolve.instances.schema import Instance

CALL_CLASSES = 6
SEED = 0
_ABOUT = (
    "Workflow classes of the published shapes at 1 workflow/s, each made from a generated sample "
    f"(seed {SEED}) with at most {CALL_CLASSES} call classes: python -m "
    "hexsolve.instances.workflow_catalog_build"
)


def shipped_workflows() -> dict[str, Any]:
    """Return the contents of `catalog/workflows.yaml`, numbers at six significant digits."""
    workflows = []
    for name, shape in SHAPES.items():
        made = shape.workload(1.0, max_classes=CALL_CLASSES, seed=SEED).classes
        if len(made) == 1:
            workflows.append({**_plain(made[0].model_dump(exclude_defaults=True)), "name": name})
    return {"about": _ABOUT, "workflows": workflows}


def workload_section(shape: str, rate: float, max_classes: int, seed: int) -> dict[str, Any]:
    """Return the workload of a generated instance, numbers at six significant digits."""
    made = SHAPES[shape].workload(rate, max_classes=max_classes, seed=seed)
    section: dict[str, Any] = _plain(made.model_dump(exclude_defaults=True))
    return section


def instance_text(instance: dict[str, Any]) -> str:
    """Return an instance as YAML, after making sure that it is one."""
    Instance.model_validate(instance)
    return yaml.safe_dump(
        instance, sort_keys=False, allow_unicode=True, width=100, default_flow_style=False
    )


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


if __name__ == "__main__":
    target = Path(__file__).parent / "catalog" / "workflows.yaml"
    text = yaml.safe_dump(shipped_workflows(), sort_keys=False, allow_unicode=True, width=100)
    target.write_text(text, encoding="utf-8")
