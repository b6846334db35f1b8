"""The event log as a Parquet file, for tools that read columns; needs pyarrow."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from hexsolve.models.errors import InputError
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.simulation.trace import EventLog

# Rows that are held before they are written as one row group.
ROW_GROUP = 65_536


class ParquetLog(EventLog):
    """The rows of `EventLog` as columns; what an event does not have is null.

    Parameters
    ----------
    stream : binary file
    cluster : SimulatedCluster

    Raises
    ------
    InputError
        If pyarrow is not installed.
    """

    def __init__(self, stream: IO[bytes], cluster: SimulatedCluster) -> None:
        super().__init__(stream, cluster)
        arrow, parquet = _pyarrow()
        label = arrow.dictionary(arrow.int32(), arrow.string())
        self._schema = arrow.schema(
            [
                arrow.field("t", arrow.float64(), nullable=False),
                arrow.field("event", label, nullable=False),
                arrow.field("workflow", arrow.int64(), nullable=False),
                arrow.field("name", arrow.string()),
                arrow.field("call", arrow.int64()),
                arrow.field("instance", label),
                arrow.field("tokens", arrow.int64()),
                arrow.field("emitted", arrow.int64()),
            ]
        )
        self._table = arrow.Table
        self._writer = parquet.ParquetWriter(stream, self._schema)
        self._rows: list[dict[str, Any]] = []

    def close(self) -> None:
        """Write what is held, and the footer without which the file cannot be read."""
        self._flush()
        self._writer.close()

    def _write(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) == ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()


@contextmanager
def parquet_log(stream: IO[bytes], cluster: SimulatedCluster) -> Iterator[ParquetLog]:
    """Yield a log that is complete at the end, also if the run breaks off."""
    log = ParquetLog(stream, cluster)
    try:
        yield log
    finally:
        log.close()


def check_pyarrow() -> None:
    """Raise `InputError` if pyarrow is not installed."""
    _pyarrow()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError(
            "writing Parquet needs pyarrow: pip install 'hexsolve[parquet]', or name a .jsonl file",
            field="--record",
        ) from None
    return pyarrow, pyarrow.parquet
