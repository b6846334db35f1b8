"""The study on docs/research.md runs as it stands, and the page's links and targets exist."""

import csv
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from hexsolve.cli.main import cli

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "research.md").read_text(encoding="utf-8")


def _block(text: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_study_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = (ROOT / "docs" / "your-own-policy.md").read_text(encoding="utf-8")
    (tmp_path / "mine.py").write_text(_block(policy, "python"), encoding="utf-8")
    (tmp_path / "study.yaml").write_text(_block(PAGE, "yaml"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["compare", "study.yaml", "-o", "small"], catch_exceptions=False)
    assert done.exit_code == 0
    stated = re.search(r"It writes (\d+) runs", PAGE)
    assert stated is not None
    with (tmp_path / "small" / "runs.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == int(stated.group(1))
    for row in rows:
        assert row["status"] == "ok"
        # No policy beats its bound.
        assert 0.0 < float(row["bound_req95"]) <= float(row["req95"]) * (1 + 1e-9)
    names = {path.name for path in (tmp_path / "small" / "figures").iterdir()}
    assert {"profile.svg", "ratios.pdf", "gaps.svg", "attainment-tools.svg"} <= names
    assert any(name.startswith("gantt-") for name in names)
    assert (tmp_path / "small" / "tables.tex").exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", PAGE))))
def test_linked_pages_exist(target: str) -> None:
    assert (ROOT / "docs" / target).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z-]+)", PAGE))))
def test_targets_exist(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("script", sorted(set(re.findall(r"`python (results/\S+)`", PAGE))))
def test_scripts_exist(script: str) -> None:
    assert (ROOT / script).exists()
