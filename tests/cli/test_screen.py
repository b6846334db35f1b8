"""Tables: names and figures stay whole however narrow the screen, and pipes have no width."""

import io
import subprocess
import sys

import pytest
from rich.console import Console
from rich.table import Table

from hexsolve.cli.screen import new_console, print_table, seconds, seconds_range
from hexsolve.instances.benchmark.io import benchmark_names
from tests.cli.conftest import Run

LONG = "a-workflow-class-with-a-name-of-some-forty-letters"


def printed(width: int) -> str:
    stream = io.StringIO()
    table = Table()
    table.add_column("Class", no_wrap=True)
    table.add_column("What it does")
    table.add_row(LONG, "words that may stand below one another")
    console = Console(file=stream, width=width)
    print_table(console, table)
    assert console.width == width
    return stream.getvalue()


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_words_and_names_are_whole_at_any_width(width: int) -> None:
    text = printed(width)
    for word in (LONG, *["words", "that", "may", "stand", "below", "one", "another"]):
        assert word in text
    assert "…" not in text
    assert (max(map(len, text.splitlines())) <= width) == (width > 60)


def test_a_pipe_is_not_wrapped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")
    assert new_console().width > 1000
    listed = run("instance", "list", "--benchmark").out
    for name in benchmark_names():
        (line,) = [line for line in listed.splitlines() if f" {name} " in line]
        assert "prefill" in line or "mixed" in line


def test_a_reader_that_leaves_before_a_table_is_no_error() -> None:
    program = "from hexsolve.cli.main import main; main(['instance', 'list'])"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        said = running.stderr.read()
        assert running.wait(timeout=120) == 0
    assert said == b""


@pytest.mark.parametrize("width", ["30", "80"])
def test_a_narrow_screen_cuts_no_name(
    run: Run, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    ran = run("plan", "--gap", "0.3", "--simulate", "--workflows", "50")
    assert "…" not in ran.out
    for word in ("Instances", "tool-calling", "Promised", "Slowdown", "prefill"):
        assert word in ran.out, word
    for command in (("instance", "list"), ("instance", "show"), ("policies",)):
        assert "…" not in run(*command).out.replace("rate_per_s: …", ""), command


def test_durations_have_the_unit_that_suits_them() -> None:
    assert [seconds(value) for value in (0.0131, 26.9, 2630.0)] == ["13.1 ms", "26.9 s", "43.8 min"]
    assert seconds_range(0.1, 0.2) == "100–200 ms"
    assert seconds_range(60.0, 180.0) == "60 s–3.0 min"
    assert seconds_range(1.0, 1.0001) == "1 s"
