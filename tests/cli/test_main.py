"""The command as a shell sees it: help, versions, exit codes, broken pipes, interruptions."""

import subprocess
import sys

import click
import pytest

from hexsolve import __version__
from hexsolve.cli import main as command
from hexsolve.models.errors import HexsolveError, InputError, UnsupportedError
from tests.cli.conftest import Run


def test_help_and_version(run: Run) -> None:
    for flag in ("-h", "--help"):
        ran = run(flag)
        assert ran.code == 0
        for name in ("plan", "check", "instance", "calibrate"):
            assert name in ran.out
    first, second = run("--version").out.strip().splitlines()
    assert first == f"hexsolve, version {__version__}"
    assert second.startswith(("simulator: compiled", "simulator: python ("))


@pytest.mark.parametrize(
    "arguments",
    [
        *([name] for name in command._COMMANDS),
        *(["calibrate", name] for name in ("fit", "evaluate", "roofline", "table")),
        ["instance", "generate"],
        ["instance", "import"],
        ["instance", "show"],
        ["instance", "validate"],
        ["instance", "list"],
    ],
)
def test_every_command_explains_itself_with_an_example(run: Run, arguments: list[str]) -> None:
    ran = run(*arguments, "--help")
    assert ran.code == 0
    assert "Example: hexsolve " in ran.out


def test_unknown_commands_and_options(run: Run) -> None:
    for arguments in (
        ["plant"],
        ["plan", "--gapp", "1"],
        ["plan", "--gap", "x"],
        ["instance", "x"],
    ):
        ran = run(*arguments)
        assert ran.code == 2
        assert "Usage:" in ran.err
        assert "--help" in ran.err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("is 3; allowed: 4", source="x.yaml", field="a"), 2, "error: x.yaml: a: is 3"),
        (UnsupportedError("no such thing"), 2, "error: no such thing"),
        (HexsolveError("broken"), 70, "This is a bug in hexsolve"),
        (click.Abort(), 130, "interrupted"),
    ],
)
def test_errors_end_in_an_exit_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, said: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(command.cli, "main", fail)
    ran = run("plan")
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err


def test_help_imports_no_solver() -> None:
    """Starting must stay quick: help of the whole command in a fresh interpreter."""
    program = (
        "import sys\n"
        "from hexsolve.cli.main import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "print(sorted({'pulp', 'highspy', 'ortools', 'scipy'} & set(sys.modules)))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.strip().endswith("[]"), ran.stdout


def test_a_reader_that_leaves_early_is_no_error() -> None:
    program = "from hexsolve.cli.main import main; main(['instance', 'list', '--json'])"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.read(10)
        running.stdout.close()
        said = running.stderr.read()
        assert running.wait(timeout=60) == 0
    assert said == b""
