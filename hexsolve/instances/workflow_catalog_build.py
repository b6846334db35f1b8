"""Make `catalog/workflows.yaml`: planning classes of every published shape, from its generator.

Run by ``make catalog``; a test compares the file with what this makes.
"""

from pathlib import Path
from typing import Any

import yaml

from hexsolve.instances.generators.registry import SHAPES
from hexsolve.instances.write import plain

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
            workflows.append({**plain(made[0].model_dump(exclude_defaults=True)), "name": name})
    return {"about": _ABOUT, "workflows": workflows}


if __name__ == "__main__":
    target = Path(__file__).parent / "catalog" / "workflows.yaml"
    made = yaml.safe_dump(shipped_workflows(), sort_keys=False, allow_unicode=True, width=100)
    target.write_text(made, encoding="utf-8")
