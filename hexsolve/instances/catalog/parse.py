"""YAML text to records: one clear line for every mistake."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from hexsolve.models.errors import InputError, allowed

# The C loader is about ten times as fast; it is absent where PyYAML was built without libyaml.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Item = TypeVar("Item", bound=BaseModel)

FILE_LIMIT_BYTES = 20_000_000


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML or JSON file.

    Raises
    ------
    InputError
        The file is missing, unreadable, too large, not YAML, or holds no mapping.
    """
    source = str(path)
    try:
        if path.stat().st_size > FILE_LIMIT_BYTES:
            raise InputError(
                f"is larger than {FILE_LIMIT_BYTES // 10**6} MB, the limit", source=source
            )
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"is not UTF-8 text (byte {error.start}); allowed: YAML", source=source
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(getattr(error, "strerror", None) or str(error), source=source) from None
    return parse_yaml(text, source)


def parse_yaml(text: str, source: str) -> dict[str, Any]:
    """Return the mapping that a YAML text holds; raises `InputError` as `read_yaml`."""
    try:
        data = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"is not valid YAML: {error.problem}{place}", source=source) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"is not valid YAML: {error}", source=source) from None
    if not isinstance(data, dict):
        raise InputError(
            f"holds {'nothing' if data is None else type(data).__name__}; allowed: a mapping",
            source=source,
        )
    return data


def build(kind: type[Item], data: object, *, source: str, field: str) -> Item:
    """Return a record from parsed data.

    Raises
    ------
    InputError
        A field is missing, unknown or has a value that is not allowed.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise explain(kind, error, source=source, field=field) from None


def build_all(kind: type[Item], data: object, *, source: str, field: str) -> list[Item]:
    """Return the records of a list; raises `InputError` as `build`."""
    if not isinstance(data, Sequence) or isinstance(data, str | bytes):
        raise InputError(f"is {type(data).__name__}; allowed: a list", source=source, field=field)
    return [
        build(kind, item, source=source, field=f"{field}[{index}]")
        for index, item in enumerate(data)
    ]


def explain(
    kind: type[BaseModel], error: ValidationError, *, source: str, field: str
) -> InputError:
    """Return the first mistake that pydantic found as one line."""
    first = error.errors(include_url=False)[0]
    place = field + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]
    )
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = f"unknown field; allowed: {allowed(kind.model_fields, 60)}"
    elif first["type"] == "missing":
        message = "is missing"
    else:
        message = f"{_shown(first['input'])}: {message}"
    return InputError(message, source=source, field=place)


def check_keys(data: dict[str, Any], known: Iterable[str], source: str) -> None:
    """Raise `InputError` for a top-level key that is not among `known`."""
    names = list(known)
    for name in data:
        if name not in names:
            raise InputError(
                f"unknown field; allowed: {allowed(names)}", source=source, field=str(name)
            )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
