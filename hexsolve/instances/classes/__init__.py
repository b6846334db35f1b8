"""From concrete workflows to the planning classes of a workload."""

from hexsolve.instances.classes.build import (
    DEFAULT_CLASSES,
    PlanningClasses,
    error_curve,
    from_workflows,
    summarise,
)
from hexsolve.instances.classes.error import ApproximationError

__all__ = [
    "DEFAULT_CLASSES",
    "ApproximationError",
    "PlanningClasses",
    "error_curve",
    "from_workflows",
    "summarise",
]
