"""From pydantic's errors to one line that names field, value and what is allowed."""

import difflib
import re
import reprlib
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from hexsolve.models.errors import InputError, allowed

Model = TypeVar("Model", bound=BaseModel)
_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother = 2, 60, 60
_TAGS = {"name", "inline", "use", "single", "cycle", "decode", "mixed", "drawn", "stored"}


def validated(model: type[Model], data: Any, source: str) -> Model:
    """Build `model` from plain data.

    Raises
    ------
    InputError
        With file, field, value and what is allowed, for the first of all mistakes.
    """
    if not isinstance(data, dict):
        fields = allowed(model.model_fields)
        raise InputError(
            f"holds {_shown(data)}; allowed: a mapping with fields {fields}", source=source
        )
    try:
        made = model.model_validate(data)
    except ValidationError as error:
        raise input_error(error, data, source, model) from None
    for place, value in _truths_as_numbers(data, made, []):
        raise InputError(
            f"is {value}; allowed: a number", source=source, field=_dotted(place) or None
        )
    return made


def _truths_as_numbers(
    data: Any, made: Any, place: list[str | int]
) -> Iterator[tuple[list[str | int], bool]]:
    """Yield where `yes` or `true` was taken for 1, as pydantic does: those are slips."""
    if isinstance(data, bool):
        if not isinstance(made, bool):
            yield place, data
    elif isinstance(data, dict):
        for key, value in data.items():
            if isinstance(made, BaseModel) and isinstance(key, str):
                yield from _truths_as_numbers(value, getattr(made, key, value), [*place, key])
            elif isinstance(made, dict):
                yield from _truths_as_numbers(value, made.get(key, value), [*place, key])
    elif isinstance(data, list) and isinstance(made, list | tuple) and len(data) == len(made):
        for index, (value, taken) in enumerate(zip(data, made, strict=True)):
            yield from _truths_as_numbers(value, taken, [*place, index])


def input_error(
    error: ValidationError, data: Any, source: str, model: type[BaseModel] | None = None
) -> InputError:
    """Return the first mistake of a validation as an `InputError`."""
    problems = error.errors(include_url=False)
    # A misspelt field also makes the right one missing: the misspelling explains both.
    problems.sort(key=lambda problem: problem["type"] != "extra_forbidden")
    first = problems[0]
    location = [part for part in first["loc"] if not _is_tag(part, data, first["loc"])]
    message = _message(first, location, model)
    if len(problems) > 1:
        message += f" (and {len(problems) - 1} more mistake{'s' if len(problems) > 2 else ''})"
    return InputError(message, source=source, field=_dotted(location) or None)


def _is_tag(part: str | int, data: Any, location: tuple[str | int, ...]) -> bool:
    """Return whether a location part is pydantic's union tag and not a key of the data."""
    if part not in _TAGS:
        return False
    here = data
    for step in location:
        if step == part:
            return not (isinstance(here, dict) and part in here)
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            continue
    return False


def _message(problem: Any, location: list[str | int], model: type[BaseModel] | None) -> str:
    kind, text = problem["type"], problem["msg"]
    if kind == "missing":
        return "is missing; it is required"
    if kind == "extra_forbidden":
        names = _fields_at(model, location[:-1])
        close = difflib.get_close_matches(str(location[-1]), names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"is not a known field{hint or ';'} allowed: {allowed(names) or 'none'}"
    if kind in ("too_short", "too_long"):
        least, bounds = kind == "too_short", problem["ctx"]
        limit = bounds["min_length" if least else "max_length"]
        items = f"{limit} item{'' if limit == 1 else 's'}"
        value = _shown(problem.get("input"))
        return f"is {value}; allowed: at {'least' if least else 'most'} {items}"
    text = re.sub(r"^(Value error|Assertion failed), ", "", text)
    if kind == "value_error":
        return text
    text = text[0].lower() + text[1:]
    expected = text.removeprefix("input should be ").replace("a valid tuple", "a list")
    expected = re.sub(r"a valid dictionary( or instance of \w+)?", "a mapping", expected)
    expected = expected.replace("a valid string", "a text")
    value = problem.get("input")
    return f"is {'empty' if value is None else _shown(value)}; allowed: {expected}"


def _fields_at(model: type[BaseModel] | None, location: list[str | int]) -> list[str]:
    """Return the field names of the record at a location, as far as the types tell."""
    here: list[type[BaseModel]] = [model] if model is not None else []
    for part in location:
        if isinstance(part, int):
            continue
        here = [
            found
            for record in here
            if part in record.model_fields
            for found in _records(record.model_fields[part].annotation)
        ]
    return sorted({name for record in here for name in record.model_fields})


def _records(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    parts = getattr(annotation, "__args__", ()) or ()
    return [record for part in parts for record in _records(part)]


def _dotted(location: list[str | int]) -> str:
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        # Anything may be a key in YAML, line breaks and whole documents included.
        name = part if re.fullmatch(r"[\w.+/-]{1,60}", part) else _shown(part)
        text += f".{name}" if text else name
    return text


def _shown(value: Any, limit: int = 60) -> str:
    # A full repr of data with YAML aliases can be exponentially long.
    text = _REPR.repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
