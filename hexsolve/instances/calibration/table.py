"""Reading tables of measured step times, in either of two CSV formats."""

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from hexsolve.instances.catalog import Catalog
from hexsolve.instances.catalog.names import Names
from hexsolve.models.errors import InputError, allowed

GRID_COLUMNS = (
    "model", "gpu", "tp", "phase", "batch", "new_tokens", "cached_tokens", "latency_ms"
)  # fmt: skip
SEQUENCE_COLUMNS = ("gpu", "model", "tp", "phase", "batch", "tokens_per_seq", "time_ms")
PHASES = ("prefill", "decode")
FILE_LIMIT_BYTES = 200_000_000
TOKEN_LIMIT = 100_000_000


class Row(NamedTuple):
    """One measured step.

    `batch` calls of `new` tokens after `cached` tokens each (prefill), or `batch` sequences with
    `cached` tokens of context each (decode, `new` is 1).
    """

    llm: str
    gpu: str
    tp: int
    phase: str
    batch: float
    new: float
    cached: float
    seconds: float


Group = tuple[str, str, int]


def read_table(path: Path, catalog: Catalog) -> list[Row]:
    """Read a table of step times.

    Two formats are known by their header: ``model,gpu,tp,phase,batch,new_tokens,cached_tokens,
    latency_ms`` and ``gpu,model,tp,phase,batch,tokens_per_seq,time_ms`` (prefill: tokens_per_seq
    new tokens and none cached; decode: tokens_per_seq tokens of context). Other columns are
    ignored.

    Raises
    ------
    InputError
        The file cannot be read, is empty, or a line has an unknown name or an impossible number;
        names file, line, field, value and what is allowed.
    """
    source = str(path)
    try:
        if path.stat().st_size > FILE_LIMIT_BYTES:
            raise InputError(
                f"is larger than {FILE_LIMIT_BYTES // 10**6} MB, the limit", source=source
            )
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return _rows(stream, source, catalog)
    except UnicodeDecodeError as error:
        raise InputError(
            f"is not UTF-8 text (byte {error.start}); allowed: CSV", source=source
        ) from None
    except csv.Error as error:
        raise InputError(f"is not CSV: {error}", source=source) from None
    except (OSError, ValueError) as error:
        raise InputError(getattr(error, "strerror", None) or str(error), source=source) from None


def grouped(rows: Iterable[Row]) -> dict[Group, dict[str, list[Row]]]:
    """Return rows by (LLM, GPU, tp) and phase, in order of first appearance."""
    groups: dict[Group, dict[str, list[Row]]] = {}
    for row in rows:
        phases = groups.setdefault((row.llm, row.gpu, row.tp), {phase: [] for phase in PHASES})
        phases[row.phase].append(row)
    return groups


def first_of_each(tables: Iterable[Sequence[Row]]) -> list[Row]:
    """Return all rows, but those of a group only from the first table that has it."""
    kept: list[Row] = []
    known: set[Group] = set()
    for table in tables:
        groups = {(row.llm, row.gpu, row.tp) for row in table}
        kept += [row for row in table if (row.llm, row.gpu, row.tp) not in known]
        known |= groups
    return kept


def _rows(stream: Iterable[str], source: str, catalog: Catalog) -> list[Row]:
    reader = csv.DictReader(stream, strict=True)
    header = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = header
    if not header:
        raise InputError("is empty; allowed: a CSV table with a header", source=source)
    sequences = "tokens_per_seq" in header
    columns = SEQUENCE_COLUMNS if sequences else GRID_COLUMNS
    missing = [name for name in columns if name not in header]
    if missing:
        raise InputError(
            f"column {missing[0]!r} is missing in line 1; allowed: {','.join(GRID_COLUMNS)} or "
            f"{','.join(SEQUENCE_COLUMNS)}",
            source=source,
        )
    rows = [
        _row(record, f"{source}, line {reader.line_num}", catalog, sequences)
        for record in reader
        if any(value for value in record.values())
    ]
    if not rows:
        raise InputError("has a header but no rows", source=source)
    return rows


def _row(record: dict[str, str], place: str, catalog: Catalog, sequences: bool) -> Row:
    phase = (record["phase"] or "").strip().lower()
    if phase not in PHASES:
        raise InputError(
            f"is {record['phase']!r}; allowed: {allowed(PHASES)}", source=place, field="phase"
        )
    size = "tokens_per_seq" if sequences else "new_tokens"
    decode = phase == "decode"
    new = 1.0 if decode else _number(record, size, place, least=1.0)
    if sequences:
        cached = _number(record, size, place, least=1.0) if decode else 0.0
    else:
        cached = _number(record, "cached_tokens", place, least=0.0)
    milliseconds = _number(record, "time_ms" if sequences else "latency_ms", place, least=1e-9)
    return Row(
        llm=_known(catalog.llm_names, record["model"], place, "model", "llms"),
        gpu=_known(catalog.gpu_names, record["gpu"], place, "gpu", "gpus"),
        tp=int(_number(record, "tp", place, least=1.0, whole=True)),
        phase=phase,
        batch=_number(record, "batch", place, least=1.0),
        new=new,
        cached=cached,
        seconds=milliseconds / 1e3,
    )


def _known(names: Names, given: str | None, place: str, field: str, section: str) -> str:
    """Return the catalog's name; raise `InputError` that says how to add one."""
    try:
        return names.resolve(given or "", source=place, field=field)
    except InputError as error:
        raise InputError(
            f"{error.message.removesuffix('?')}; or describe it under {section}: in a YAML file "
            "given with --catalog",
            source=place,
            field=field,
        ) from None


def _number(
    record: dict[str, str], field: str, place: str, *, least: float, whole: bool = False
) -> float:
    text = record[field]
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not (least <= value <= TOKEN_LIMIT) or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise InputError(
            f"is {text!r}; allowed: {kind} from {least:g} to {TOKEN_LIMIT:g}",
            source=place,
            field=field,
        )
    return value
