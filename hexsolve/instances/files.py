"""YAML and JSON files in, with one clear line for whatever is wrong with them."""

import json
from pathlib import Path
from typing import Any

import yaml

from hexsolve.models.errors import InputError

MAX_BYTES = 5_000_000
_MAX_ALIASES = 1000


class _StrictLoader(yaml.SafeLoader):
    """Refuses duplicate keys, which YAML loaders otherwise drop in silence, and alias bombs."""

    aliases = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            self.aliases += 1
            if self.aliases > _MAX_ALIASES:
                raise yaml.MarkedYAMLError(problem=f"more than {_MAX_ALIASES} aliases")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: list[Any] = []
        for key_node, _ in getattr(node, "value", []):
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key!r} stands twice", problem_mark=key_node.start_mark
                )
            seen.append(key)
        return super().construct_mapping(node, deep=deep)


def read_text(path: Path, max_bytes: int = MAX_BYTES) -> str:
    """Return a file's text.

    Raises
    ------
    InputError
        The file is missing, a folder, too large, empty, or not UTF-8.
    """
    source = str(path)
    if path.is_dir():
        raise InputError("is a folder; allowed: a file", source=source)
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise InputError(
                f"holds {size:,} bytes; allowed: at most {max_bytes:,}", source=source
            )
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError("does not exist", source=source) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"byte {error.start} is not UTF-8; allowed: a UTF-8 text file", source=source
        ) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=source) from None
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
    return parse_data(read_text(path), str(path), is_json=path.suffix.lower() == ".json")


def parse_data(text: str, source: str, is_json: bool = False) -> Any:
    """Return the plain data of a YAML or JSON text.

    Raises
    ------
    InputError
        The text is no YAML or JSON; line and column are named.
    """
    if is_json:
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(
                f"line {error.lineno}, column {error.colno}: {error.msg}; allowed: JSON",
                source=source,
            ) from None
        except RecursionError:
            raise InputError("is nested too deeply", source=source) from None
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{place}{error.problem or error}; allowed: YAML", source=source) from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise InputError(f"{error}; allowed: YAML", source=source) from None
    except RecursionError:
        raise InputError("is nested too deeply", source=source) from None


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all: a crash or full disk leaves the old one.

    Raises
    ------
    InputError
        The place cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", source=str(path)) from None
