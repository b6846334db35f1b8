"""The event log in columns: the same rows as the log in lines."""

import json
import sys

import pytest

from hexsolve.models.errors import InputError
from hexsolve.models.simulation import parquet as parquet_log_module
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.parquet import check_pyarrow, parquet_log
from hexsolve.models.simulation.trace import EventLog, Listeners
from tests.simulation.scenarios import Guess, Scripted, random_scenario


def written(folder, seed: int):
    """Both logs of one run."""
    arrow = pytest.importorskip("pyarrow.parquet", reason="pyarrow is absent: hexsolve[parquet]")
    cluster, workflows = random_scenario(seed)
    lines, columns = folder / "log.jsonl", folder / "log.parquet"
    with lines.open("w") as text, columns.open("wb") as binary, parquet_log(binary, cluster) as log:
        listener = Listeners([EventLog(text, cluster), log])
        Simulation(cluster, workflows, Scripted(seed), Guess(seed), listener=listener).run()
    return [json.loads(line) for line in lines.read_text().splitlines()], arrow.ParquetFile(columns)


@pytest.mark.parametrize("seed", range(5))
def test_columns_hold_what_the_lines_hold(tmp_path, seed):
    rows, file = written(tmp_path, seed)
    columns = file.schema_arrow.names
    assert file.read().to_pylist() == [{name: row.get(name) for name in columns} for row in rows]
    assert {key for row in rows for key in row} == set(columns)


def test_long_logs_are_written_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_log_module, "ROW_GROUP", 16)
    rows, file = written(tmp_path, 0)
    assert file.num_row_groups == -(-len(rows) // 16) > 1
    assert file.read().column("t").to_pylist() == [row["t"] for row in rows]


def test_without_pyarrow_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'hexsolve\[parquet\]', or name a .jsonl"):
        check_pyarrow()
