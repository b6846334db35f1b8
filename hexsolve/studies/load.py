"""Reading a study file: everything that can be known to fail is refused before the first run."""

import fnmatch
from pathlib import Path
from typing import Any

from hexsolve.instances.benchmark.io import benchmark_names, load_scheduling_instance
from hexsolve.instances.files import read_data
from hexsolve.instances.validation import validated
from hexsolve.models.errors import InputError, allowed
from hexsolve.solver.online.predictors import make_predictor
from hexsolve.solver.online.registry import PLANNED, check_policy
from hexsolve.studies.cells import build_cluster, check_workload
from hexsolve.studies.schema import Study, StudyInstance


def load_study(path: Path) -> Study:
    """Read and check a study file.

    Raises
    ------
    InputError
        With file, field, value and what is allowed.
    """
    study = validated(Study, _expanded(read_data(path), str(path)), str(path))
    for policy in study.policies:
        if policy == PLANNED:
            raise InputError(
                "'planned' needs a plan, which a study does not have", field="policies"
            )
        check_policy(policy)
    make_predictor(study.predictor, 0)
    for instance in study.instances:
        if isinstance(instance, StudyInstance):
            _check_drawn(instance, str(path))
    return study


def _check_drawn(instance: StudyInstance, source: str) -> None:
    """Refuse what would make every run of an instance fail: names, parallelism, an absent file."""
    try:
        build_cluster(instance)
        check_workload(instance.workload)
    except InputError as error:
        if error.source is not None:
            # A workflow file with a mistake of its own.
            raise
        field = f"instances {instance.name!r}.{error.field}"
        raise InputError(error.message, source=source, field=field) from None


def _expanded(data: Any, source: str) -> Any:
    """Return the data of a study with each ``benchmark: PATTERN``, or text, as what it names."""
    if not isinstance(data, dict) or not isinstance(data.get("instances"), list):
        return data
    instances: list[Any] = []
    for index, given in enumerate(data["instances"]):
        # A text alone names stored instances.
        stated = {"benchmark": given} if isinstance(given, str) else given
        if not isinstance(stated, dict) or "benchmark" not in stated:
            instances.append(stated)
            continue
        field = f"instances[{index}].benchmark"
        pattern = stated["benchmark"]
        if not isinstance(pattern, str):
            raise InputError(f"is {pattern!r}; allowed: a text", source=source, field=field)
        extra = sorted(str(key) for key in stated if key not in ("benchmark", "name"))
        if extra:
            raise InputError(
                f"has {extra[0]!r} beside benchmark, which states everything; allowed: name",
                source=source,
                field=f"instances[{index}]",
            )
        found: list[str] = [pattern]
        if any(mark in pattern for mark in "*?["):
            found = fnmatch.filter(benchmark_names(), pattern)
            if not found or "name" in stated:
                raise InputError(
                    f"{pattern!r} matches {len(found)} stored instances; allowed: a pattern "
                    f"without a name that matches some of {allowed(benchmark_names(), 5)}",
                    source=source,
                    field=field,
                )
        for name in found:
            try:
                instance = load_scheduling_instance(name)
            except InputError as error:
                raise InputError(str(error), source=source, field=field) from None
            instances.append(
                {
                    "name": stated.get("name", instance.name),
                    "benchmark": name,
                    "digest": instance.digest,
                }
            )
    return {**data, "instances": instances}
