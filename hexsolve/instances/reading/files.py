"""Reading trace files: gzip or plain, line by line or whole, with limits and clear errors."""

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from hexsolve.instances.reading.limits import DEFAULT_LIMITS, Limits
from hexsolve.models.errors import InputError

_GZIP_MAGIC = b"\x1f\x8b"


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, decompressing gzip (known by content, not by name).

    Raises
    ------
    InputError
        The path is missing, a directory, unreadable or empty, or its gzip data are damaged
        (also when that shows while the caller reads).
    """
    source = str(path)
    try:
        if path.is_dir():
            raise InputError("is a directory; allowed: a file", source=source)
        with path.open("rb") as raw:
            magic = raw.read(2)
            if not magic:
                raise InputError(
                    "is empty; allowed: a trace with at least one record", source=source
                )
            raw.seek(0)
            if magic == _GZIP_MAGIC:
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    yield cast("IO[bytes]", unpacked)
            else:
                yield raw
    except EOFError:
        raise InputError("gzip data end too early: the file is truncated", source=source) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"gzip data are damaged ({error})", source=source) from None
    except FileNotFoundError:
        raise InputError("no such file", source=source) from None
    except (OSError, ValueError) as error:
        # ValueError: a path with a NUL byte.
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be read ({reason})", source=source) from None


def lines(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, text without line end) and skip blank lines.

    Raises
    ------
    InputError
        As `opened`; also for text that is not UTF-8 or beyond the limits.
    """
    source = str(path)
    with opened(path) as stream:
        total = number = 0
        while data := stream.readline(limits.unit_bytes + 1):
            number += 1
            total += len(data)
            if len(data) > limits.unit_bytes:
                raise InputError(
                    f"line {number} is longer than {limits.unit_bytes:,} bytes, the limit",
                    source=source,
                )
            if total > limits.text_bytes:
                raise InputError(
                    f"is larger than {limits.text_bytes:,} bytes (uncompressed), the limit for "
                    "one trace; split the file",
                    source=source,
                )
            text = _decoded(data, f"{source}, line {number}").rstrip("\r\n")
            if text.strip():
                yield number, text


def document(path: Path, limits: Limits = DEFAULT_LIMITS) -> object:
    """Return the JSON document in a file.

    Raises
    ------
    InputError
        As `lines`; also for text that is not JSON.
    """
    source = str(path)
    with opened(path) as stream:
        data = stream.read(limits.unit_bytes + 1)
    if len(data) > limits.unit_bytes:
        raise InputError(
            f"is larger than {limits.unit_bytes:,} bytes (uncompressed), the limit for one JSON "
            "document; split it or use a line-by-line format",
            source=source,
        )
    return parsed(_decoded(data, source), source)


def records(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[tuple[str, object]]:
    """Yield (place, JSON value) of a JSONL file, or of a pretty-printed document.

    A file whose first line is a bare bracket is one document; if that is a list, its entries
    are the records.

    Raises
    ------
    InputError
        As `lines` and `document`.
    """
    source = str(path)
    first = sample(path, 256).lstrip()
    if first.split("\n", 1)[0].strip() in ("{", "[", "[{"):
        value = document(path, limits)
        if isinstance(value, list):
            yield from (
                (f"{source}, record {number}", item) for number, item in enumerate(value, 1)
            )
        else:
            yield source, value
        return
    for number, text in lines(path, limits):
        place = f"{source}, line {number}"
        yield place, parsed(text, place)


def sample(path: Path, size: int = 65536) -> str:
    """Return about the first `size` bytes of a file as text, undecodable bytes replaced."""
    with opened(path) as stream:
        try:
            data = b""
            while len(data) < size and (part := stream.read(64)):
                data += part
        except EOFError:
            # A truncated file must still be recognised, for the format's own error message.
            pass
    return data.decode("utf-8-sig", errors="replace")


def parsed(text: str, source: str) -> object:
    """Return the value of a JSON text; NaN and infinities are refused."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            source=source,
        ) from None
    except RecursionError:
        raise InputError("is not valid: JSON nested too deeply", source=source) from None
    except ValueError as error:
        raise InputError(f"is not valid JSON: {error}", source=source) from None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number; allowed: finite numbers")


# json.loads would build a decoder for every line.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _decoded(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"byte {error.start} is not UTF-8 text; allowed: a text file or its gzip form",
            source=source,
        ) from None
