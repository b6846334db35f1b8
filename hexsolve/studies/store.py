"""Results on disk: appended run by run, safe against being killed, sorted at the end."""

import csv
import json
import os
import time
from collections.abc import Iterable
from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from typing import TextIO

from hexsolve.models.errors import InputError
from hexsolve.models.status import relative_gap
from hexsolve.studies.bounds import BoundCell, BoundOutcome
from hexsolve.studies.cells import BOUND_MEASURES, MEASURES, Cell, Outcome
from hexsolve.studies.schema import Study

KEY = ("instance", "policy", "seed")
SYNC_S = 5.0
"""How often files are forced to disk, s. Killing the process loses no row; an outage of power may
lose those of so many seconds, which run again. After each row it would take longer than a short
run (7 ms a file)."""


class Store:
    """The folder of a study.

    ``study.json`` is the study itself; ``runs.csv`` has a row a run, ``slowdowns.jsonl`` the
    slowdown of each workflow of a run, ``bounds.csv`` the lower bound of each workload (if the
    study asks for bounds; `finish` copies them into runs.csv), ``timings.csv`` the seconds that
    runs and bounds took, which alone differ between reruns. A run counts once its row in runs.csv
    ends with a newline and its slowdowns are there; what was written of others is dropped when the
    study goes on.

    Parameters
    ----------
    folder : Path
    study : Study

    Raises
    ------
    InputError
        If the folder holds another study.
    """

    def __init__(self, folder: Path, study: Study) -> None:
        self.folder = folder
        self.runs = folder / "runs.csv"
        self.slowdowns = folder / "slowdowns.jsonl"
        self.timings = folder / "timings.csv"
        self.lower = folder / "bounds.csv"
        self.has_bounds = study.bounds
        self._synced = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        stated = folder / "study.json"
        text = study.model_dump_json(indent=2) + "\n"
        if stated.exists() and _study(stated) != study:
            raise InputError(
                "holds another study (or this one before it was edited); give another folder",
                source=str(folder),
            )
        _replace(stated, text)
        self._recover()
        # Opened once: three files opened for each run cost more than writing them.
        self._open: dict[Path, TextIO] = {}

    def _recover(self) -> None:
        """Drop half-written lines and what belongs to runs that are not complete."""
        rows, values = self.rows(), self.values()
        rows = {cell: row for cell, row in rows.items() if cell in values}
        self._write_rows(rows)
        if self.has_bounds:
            self._write_bounds()
        self._write_values({cell: value for cell, value in values.items() if cell in rows})
        if not self.timings.exists():
            _replace(self.timings, "instance,policy,seed,wall_s\n")
        elif not self.timings.read_text(encoding="utf-8").endswith("\n"):
            text = self.timings.read_text(encoding="utf-8")
            _replace(self.timings, text[: text.rfind("\n") + 1])

    def add(self, outcome: Outcome | BoundOutcome) -> None:
        """Append a run: its slowdowns first, so that a row is never without them; or a bound."""
        if isinstance(outcome, BoundOutcome):
            instance, seed, _ = outcome.cell
            line = [instance, "lower bounds", seed, f"{outcome.wall_s:.3f}"]
            self._append(self.timings, _csv_line(line))
            self._append(self.lower, _csv_line([instance, seed, outcome.value, outcome.method]))
            self._sync()
            return
        cell = outcome.cell
        self._append(self.slowdowns, _value_line(cell, outcome.slowdowns))
        self._append(self.timings, _csv_line([*cell, f"{outcome.wall_s:.3f}"]))
        self._append(self.runs, _row_line(cell, outcome.row, self._columns()))
        self._sync()

    def _sync(self) -> None:
        """Force everything to disk, but not more often than every `SYNC_S`."""
        if time.monotonic() - self._synced < SYNC_S:
            return
        for stream in self._open.values():
            os.fsync(stream.fileno())
        self._synced = time.monotonic()

    def _append(self, path: Path, line: str) -> None:
        """Hand a line to the operating system, which keeps it if this process is killed."""
        stream = self._open.get(path)
        if stream is None or not _same_file(stream, path):
            # Another process on this folder may have replaced the file.
            if stream is not None:
                stream.close()
            stream = self._open[path] = path.open("a", encoding="utf-8")
        stream.write(line)
        stream.flush()

    def close(self) -> None:
        """Close the files; they are opened again where more is added."""
        with ExitStack() as stack:
            for stream in self._open.values():
                stack.callback(stream.close)
            self._open.clear()

    def finish(self) -> None:
        """Sort everything, so that the order of running leaves no trace."""
        rows = self.rows()
        if self.has_bounds:
            self._write_bounds()
            bounds = self.bounds()
            for cell, row in rows.items():
                value, method = bounds.get(BoundCell(cell.instance, cell.seed), (0.0, ""))
                row.update(dict.fromkeys(BOUND_MEASURES, ""))
                if value > 0.0:
                    gap = relative_gap(float(row["req95"]), value) if row["req95"] else ""
                    row.update(bound_req95=str(value), bound_method=method, gap_req95=str(gap))
        self._write_rows(rows)
        self._write_values(dict(self._values()))

    def rows(self) -> dict[Cell, dict[str, str]]:
        """Return the complete rows, the first one of each run."""
        if not self.runs.exists():
            return {}
        found: dict[Cell, dict[str, str]] = {}
        for fields in csv.DictReader(StringIO(_whole_lines(self.runs))):
            cell = Cell(fields["instance"], fields["policy"], int(fields["seed"]))
            columns = [name for name in self._columns() if fields.get(name) is not None]
            found.setdefault(cell, {name: fields[name] for name in columns})
        return found

    def _columns(self) -> tuple[str, ...]:
        return (*MEASURES, *BOUND_MEASURES) if self.has_bounds else MEASURES

    def bounds(self) -> dict[BoundCell, tuple[float, str]]:
        """Return the lower bounds on Req95 that are known, with the method."""
        if not self.lower.exists():
            return {}
        found: dict[BoundCell, tuple[float, str]] = {}
        for fields in csv.DictReader(StringIO(_whole_lines(self.lower))):
            cell = BoundCell(fields["instance"], int(fields["seed"]))
            found.setdefault(cell, (float(fields["bound_req95"]), fields["bound_method"]))
        return found

    def _write_bounds(self) -> None:
        lines = ["instance,seed,bound_req95,bound_method\n"]
        known = self.bounds()
        lines += [_csv_line([cell.instance, cell.seed, *known[cell]]) for cell in sorted(known)]
        _replace(self.lower, "".join(lines))

    def values(self) -> dict[Cell, list[float]]:
        """Return the slowdowns of the runs."""
        return dict(self._values())

    def _values(self) -> Iterable[tuple[Cell, list[float]]]:
        if not self.slowdowns.exists():
            return
        for line in _whole_lines(self.slowdowns).splitlines():
            data = json.loads(line)
            yield Cell(data["instance"], data["policy"], data["seed"]), data["slowdowns"]

    def _write_rows(self, rows: dict[Cell, dict[str, str]]) -> None:
        columns = self._columns()
        lines = [_csv_line([*KEY, *columns])]
        lines += [_row_line(cell, rows[cell], columns) for cell in sorted(rows)]
        _replace(self.runs, "".join(lines))

    def _write_values(self, values: dict[Cell, list[float]]) -> None:
        lines = [_value_line(cell, values[cell]) for cell in sorted(values)]
        _replace(self.slowdowns, "".join(lines))


def _row_line(
    cell: Cell,
    row: dict[str, str] | dict[str, str | int | float],
    columns: tuple[str, ...],
) -> str:
    return _csv_line([*cell, *(row.get(name, "") for name in columns)])


def _same_file(stream: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _study(path: Path) -> Study | None:
    """Return the study of a folder; fields that came later have their defaults."""
    try:
        return Study.model_validate_json(path.read_text(encoding="utf-8"))
    except ValueError:
        return None


def _value_line(cell: Cell, slowdowns: list[float]) -> str:
    return json.dumps(cell._asdict() | {"slowdowns": slowdowns}) + "\n"


def _csv_line(fields: Iterable[object]) -> str:
    stream = StringIO()
    csv.writer(stream, lineterminator="\n").writerow(fields)
    return stream.getvalue()


def _whole_lines(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return text[: text.rfind("\n") + 1]


def _replace(path: Path, text: str) -> None:
    """Write a file so that it is there in full or as before."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
