"""Run the command line in this process, as a shell would see it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from hexsolve.cli.main import main


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `hexsolve` with arguments; a traceback fails the test."""
    monkeypatch.setenv("COLUMNS", "200")

    def run_main(*arguments: object) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        text = capsys.readouterr()
        assert "Traceback" not in text.out + text.err
        code = stopped.value.code
        assert isinstance(code, int)
        return Ran(code, text.out, text.err)

    return run_main
