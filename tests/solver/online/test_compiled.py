"""Machine code on disk is of the sources that are there."""

import os
import subprocess
import sys
from pathlib import Path

from hexsolve.solver.online.projection.compiled import MARK, forget_stale

INNER = """
from hexsolve.solver.online.projection.compiled import compiled
@compiled
def inner(x: int) -> int:
    return {value}
"""
OUTER = """
from hexsolve.solver.online.projection.compiled import compiled
from inner import inner
@compiled
def outer(x: int) -> int:
    return inner(x) + 100
"""
MAIN = """
from pathlib import Path
from hexsolve.solver.online.projection.compiled import forget_stale
forget_stale(Path({folder!r}))
from outer import outer
print(outer(1), len(outer.stats.cache_hits))
"""


def run(folder: Path) -> list[str]:
    made = subprocess.run(
        [sys.executable, "-c", MAIN.format(folder=str(folder))],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
    )
    return made.stdout.split()


def test_a_changed_function_is_compiled_again_where_another_calls_it(tmp_path: Path) -> None:
    (tmp_path / "inner.py").write_text(INNER.format(value="x"), encoding="utf-8")
    (tmp_path / "outer.py").write_text(OUTER, encoding="utf-8")
    assert run(tmp_path) == ["101", "0"]
    assert run(tmp_path) == ["101", "1"]
    (tmp_path / "inner.py").write_text(INNER.format(value="x + 1"), encoding="utf-8")
    assert run(tmp_path) == ["102", "0"]


def test_machine_code_is_kept_until_a_compiled_source_changes(tmp_path: Path) -> None:
    source, other = tmp_path / "a" / "loops.py", tmp_path / "plain.py"
    index = tmp_path / "a" / "__pycache__" / "loops.f-1.py311.nbi"
    index.parent.mkdir(parents=True)
    source.write_text("@compiled\ndef f(): ...\n", encoding="utf-8")
    other.write_text("x = 1\n", encoding="utf-8")
    index.touch()
    forget_stale(tmp_path)
    assert not index.exists()
    index.touch()
    other.write_text("x = 2\n", encoding="utf-8")
    forget_stale(tmp_path)
    assert index.exists()
    source.write_text("@compiled\ndef f(): return 1\n", encoding="utf-8")
    forget_stale(tmp_path)
    assert not index.exists()


def test_a_folder_that_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text("@compiled\ndef f(): ...\n", encoding="utf-8")
    # A file where the folder would be: nobody can write into it, root included.
    (tmp_path / "__pycache__").touch()
    forget_stale(tmp_path)
    assert not (tmp_path / "__pycache__" / MARK).exists()
