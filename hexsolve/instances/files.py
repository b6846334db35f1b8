"""YAML and JSON files in, with one clear line for whatever is wrong with them."""

import json
import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml

from hexsolve.models.errors import InputError

MAX_BYTES = 5_000_000
"""Largest JSON file read."""

MAX_YAML_BYTES = 1_000_000
"""Largest YAML text read: its parser takes about 10 s per MB, and instances have some 10 kB."""

_MAX_ALIASES = 100
_MAX_DEPTH = 50
_MERGE = "tag:yaml.org,2002:merge"

# The C parser is five to ten times as fast; it is absent where PyYAML was built without libyaml.
_SafeLoader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


# YAML 1.1 has numbers to base 60 (1:30 is 90) and to base 8 (010 is 8): never what is meant.
_ODD_NUMBER = re.compile(r"[-+]?(\d[\d_]*(:[\d.]+)+|0[\d_]+)")


class _StrictLoader(_SafeLoader):  # type: ignore[misc]
    """Refuses duplicate keys, which are otherwise dropped in silence, and odd numbers."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        number = node.tag.endswith((":int", ":float"))
        if number and _ODD_NUMBER.fullmatch(node.value):
            raise _mistake(
                f"{node.value[:40]!r} is another number in YAML than it looks; write it as a "
                "plain decimal number, or in quotes if it is a text",
                node.start_mark,
            )
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
            # PyYAML's constructors fail so at dates and numbers that are none.
            kind = node.tag.rpartition(":")[2]
            text = node.value if isinstance(node.value, str) else ""
            raise _mistake(f"{text[:40]!r} is no {kind}", node.start_mark) from None

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[Hashable] = set()
        for key_node, _ in getattr(node, "value", []):
            if key_node.tag == _MERGE:
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise _mistake("a list or mapping cannot be a key", key_node.start_mark)
            if key in seen:
                raise _mistake(f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _mistake(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def read_text(path: Path, max_bytes: int = MAX_BYTES) -> str:
    """Return a file's text.

    Raises
    ------
    InputError
        The file is missing, a folder, too large, empty, or not UTF-8.
    """
    source = str(path)
    try:
        if path.is_dir():
            raise InputError("is a folder; allowed: a file", source=source)
        size = path.stat().st_size
        if size <= max_bytes:
            with path.open("rb") as stream:
                # Devices and pipes have no size beforehand.
                data = stream.read(max_bytes + 1)
            size = len(data)
        if size > max_bytes:
            raise InputError(f"is larger than allowed: at most {max_bytes:,} bytes", source=source)
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError("does not exist; allowed: an existing file", source=source) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"byte {error.start} is not UTF-8; allowed: a UTF-8 text file", source=source
        ) from None
    except (OSError, ValueError) as error:
        # ValueError: a path with a NUL byte.
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be read: {reason}", source=source) from None
    if not text.strip():
        raise InputError("is empty; allowed: YAML or JSON", source=source)
    return text


def read_data(path: Path) -> Any:
    """Return the plain data of a YAML or JSON file (by suffix; others are read as YAML).

    Raises
    ------
    InputError
        As `read_text`, or the text is no YAML or JSON; line and column are named.
    """
    is_json = path.suffix.lower() == ".json"
    text = read_text(path, MAX_BYTES if is_json else MAX_YAML_BYTES)
    return parse_data(text, str(path), is_json=is_json)


def parse_data(text: str, source: str, is_json: bool = False) -> Any:
    """Return the plain data of a YAML or JSON text.

    Raises
    ------
    InputError
        The text is no YAML or JSON; line and column are named.
    """
    if is_json:
        return _parse_json(text, source)
    try:
        _check_structure(text)
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{place}{error.problem or error}; allowed: YAML", source=source) from None
    except (yaml.YAMLError, ValueError, TypeError, LookupError) as error:
        raise InputError(f"{error}; allowed: YAML", source=source) from None
    except RecursionError:
        raise InputError("is nested too deeply", source=source) from None


def _check_structure(text: str) -> None:
    """Refuse what exhausts a parser: the C one recurses without limit, aliases multiply."""
    depth = aliases = 0
    for event in _events(text):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                raise _mistake(f"nested more than {_MAX_DEPTH} deep", event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
            if aliases > _MAX_ALIASES:
                raise _mistake(f"more than {_MAX_ALIASES} aliases", event.start_mark)


def _events(text: str) -> Iterator[yaml.Event]:
    """Parse; PyYAML 6.0.4 has a limit of its own and, scanning ahead, may find it first."""
    try:
        yield from yaml.parse(text, Loader=_SafeLoader)
    except yaml.MarkedYAMLError as error:
        if error.problem_mark is None or "nesting depth" not in str(error.problem):
            raise
        raise _mistake(f"nested more than {_MAX_DEPTH} deep", error.problem_mark) from None


def _parse_json(text: str, source: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise InputError(
            f"line {error.lineno}, column {error.colno}: {error.msg}; allowed: JSON",
            source=source,
        ) from None
    except ValueError as error:
        raise InputError(f"{error}; allowed: JSON", source=source) from None
    except RecursionError:
        raise InputError("is nested too deeply", source=source) from None


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; a hook for `json.loads`.

    Raises
    ------
    ValueError
        A key stands twice.
    """
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise ValueError(f"key {key!r} stands twice")
        made[key] = value
    return made


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all: a crash or full disk leaves the old one.

    Devices and pipes are written to directly.

    Raises
    ------
    InputError
        The place cannot be written.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_text(text, encoding="utf-8")
            return
        if path.is_dir():
            raise InputError("is a folder; allowed: a file", source=str(path))
        temporary = path.with_name(f".{path.name}.part")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be written: {reason}", source=str(path)) from None
