"""Coefficients and efficiencies as YAML that the catalog reads back."""

from collections.abc import Iterable
from typing import Any

import yaml
from pydantic import BaseModel

DIGITS = 6


def to_yaml(section: str, items: Iterable[BaseModel], about: str) -> str:
    """Return a YAML document with one record per block; numbers rounded to six digits."""
    lines = [f"about: {_flow(about)}", f"{section}:"]
    for item in items:
        data = _rounded(item.model_dump(mode="json", exclude_defaults=True))
        fields = [f"{name}: {_flow(value)}" for name, value in data.items()]
        lines += [f"  - {fields[0]}", *(f"    {field}" for field in fields[1:])]
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        rounded = float(f"{value:.{DIGITS}g}")
        return int(rounded) if rounded.is_integer() and abs(rounded) < 1e9 else rounded
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value
