"""Schedules of the best-known table as small files: a line of numbers for each call.

A call is a list in the order of `FIELDS`; instances are indices into ``instances``, -1 = none.
All else is as in `Schedule`.
"""

import json
from pathlib import Path
from typing import Any

from hexsolve.instances.files import parse_data, read_text
from hexsolve.instances.validation import validated
from hexsolve.models.errors import InputError
from hexsolve.models.schedule import Schedule, ScheduledCall

KIND = "schedule-table"
FIELDS = tuple(ScheduledCall.model_fields)
INSTANCES = ("prefill", "decode")
NONE = -1


def certificates_folder() -> Path:
    """Return the folder of the certificates that ship."""
    return Path(__file__).parent / "certificates"


def certificate_text(schedule: Schedule) -> str:
    """Return the file of a schedule; equal schedules give equal bytes."""
    names: dict[str, int] = {}
    for row in schedule.calls:
        names.setdefault(row.prefill, len(names))
    for row in schedule.calls:
        if row.decode is not None:
            names.setdefault(row.decode, len(names))
    head = schedule.model_dump(mode="json", exclude={"calls", "kind"})
    parts = [f'"kind": "{KIND}"']
    parts += [f'"{field}": {_compact(value)}' for field, value in head.items()]
    parts.append(f'"instances": {_compact(list(names))}')
    parts.append(f'"call_fields": {_compact(list(FIELDS))}')
    lines = [_compact(_numbers(row, names)) for row in schedule.calls]
    parts.append('"calls": [\n' + ",\n".join(lines) + "\n]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def expanded(data: dict[str, Any], source: str) -> dict[str, Any]:
    """Return the data of a `Schedule` from those of such a file.

    Raises
    ------
    InputError
        If the table is not one of `FIELDS`, or an index is out of range.
    """
    rest = {field: value for field, value in data.items() if field not in _OWN}
    names, lines = data.get("instances"), data.get("calls")
    if data.get("call_fields") != list(FIELDS):
        raise InputError(f"is not {list(FIELDS)}", source=source, field="call_fields")
    if not isinstance(names, list) or not isinstance(lines, list):
        field = "calls" if isinstance(names, list) else "instances"
        raise InputError("is no list; allowed: a list", source=source, field=field)
    calls = [_call(line, names, f"calls[{at}]", source) for at, line in enumerate(lines)]
    return {**rest, "kind": "schedule", "calls": calls}


def schedule_from(data: Any, source: str) -> Schedule:
    """Return the `Schedule` in the data of a file: as `hexsolve optimum` writes it, or of such.

    Raises
    ------
    InputError
        With file, field, value and what is allowed.
    """
    if isinstance(data, dict) and data.get("kind") == KIND:
        data = expanded(data, source)
    return validated(Schedule, data, source)


def load_certificate(path: Path) -> Schedule:
    """Read a file of `certificate_text`.

    Raises
    ------
    InputError
        With file, field, value and what is allowed.
    """
    data = parse_data(read_text(path), str(path))
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise InputError(f"is not {KIND!r}", source=str(path), field="kind")
    return schedule_from(data, str(path))


_OWN = ("kind", "instances", "call_fields", "calls")


def _numbers(row: ScheduledCall, names: dict[str, int]) -> list[int | None]:
    stated = row.model_dump()
    for field in INSTANCES:
        stated[field] = NONE if stated[field] is None else names[stated[field]]
    return [stated[field] for field in FIELDS]


def _call(line: Any, names: list[Any], field: str, source: str) -> dict[str, Any]:
    if not isinstance(line, list) or len(line) != len(FIELDS):
        raise InputError(
            f"is {line!r}; allowed: a list of {len(FIELDS)} numbers", source=source, field=field
        )
    call = dict(zip(FIELDS, line, strict=True))
    for role in INSTANCES:
        index = call[role]
        if type(index) is not int or not NONE <= index < len(names):
            raise InputError(
                f"has the instance {index!r}; allowed: -1…{len(names) - 1}",
                source=source,
                field=field,
            )
        call[role] = None if index == NONE else names[index]
    return call


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
