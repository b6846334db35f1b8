"""Run the command line in this process, as a shell would see it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from hexsolve.cli.main import cli, main


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


Answer = tuple[Path, str, Path]
"""An answer file, the option that names its instance, and that."""

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


def planned(folder: Path, text: str) -> Answer:
    """Plan the instance `text` in `folder`; return the answer and the option that names it."""
    instance, path = folder / "instance.yaml", folder / "plan.json"
    instance.write_text(text)
    result = CliRunner().invoke(cli, ["plan", str(instance), "-o", str(path)])
    assert result.exit_code == 0, result.output
    return path, "--instance", instance
