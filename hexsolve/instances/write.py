"""Instances as text: YAML with a header that says how to use it."""

from collections.abc import Iterable
from typing import Any

import yaml

from hexsolve.instances.schema import Instance
from hexsolve.models.workload import Workload

Data = dict[str, Any]


def plain(value: Any) -> Any:
    """Return data with numbers at six significant digits and tuples as lists."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def instance_data(
    name: str, llm: str, cluster: str, slo_scale: float | None, workload: Workload
) -> Data:
    """Return an instance as plain data."""
    data: Data = {"schema_version": 1, "name": name, "llm": llm, "cluster": cluster}
    if slo_scale is not None:
        data["slo_scale"] = slo_scale
    data["workload"] = plain(workload.model_dump(exclude_defaults=True))
    return data


def instance_yaml(data: Data, origin: Iterable[str], file: str = "FILE") -> str:
    """Return an instance file: a commented header, then YAML that is known to be valid.

    Parameters
    ----------
    data : dict
        The instance.
    origin : iterable of str
        Where it comes from, a line each.
    file : str
        Its name, for the commands in the header.
    """
    Instance.model_validate(data)
    header = [
        *(" ".join(line.split()) for line in origin),
        f"Least cost for this load:    hexsolve plan {file}",
        f"Most load of this cluster:   hexsolve plan {file} --objective load",
        f"What it holds:               hexsolve instance show {file}",
        "Names that can be used here: hexsolve instance list",
        "All fields:                  hexsolve instance validate --schema",
    ]
    body = yaml.safe_dump(
        data, sort_keys=False, allow_unicode=True, width=100, default_flow_style=False
    )
    return "".join(f"# {line}\n" for line in header) + body
