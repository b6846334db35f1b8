"""The README's commands, files and targets exist as written."""

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from hexsolve.cli.main import cli
from hexsolve.instances.resolve import load_problem

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    lines = [
        line.split("#")[0].strip() for block in blocks("console") for line in block.split("\n")
    ]
    return [part.strip() for line in lines for part in line.split("&&") if "hexsolve " in part]


def hexsolve_commands() -> list[list[str]]:
    return [
        shlex.split(line.replace("…", ""))[1:] for line in commands() if line.startswith("hexsolve")
    ]


def test_the_readme_shows_commands() -> None:
    assert len(hexsolve_commands()) >= 8


@pytest.mark.parametrize("arguments", hexsolve_commands(), ids=" ".join)
def test_every_command_of_the_readme_parses(arguments: list[str]) -> None:
    group: click.Command = cli
    context = click.Context(cli, info_name="hexsolve")
    rest = list(arguments)
    while isinstance(group, click.Group):
        found = group.get_command(context, rest.pop(0))
        assert found is not None
        group = found
    # Parsing checks options, choices and the number of arguments, and runs nothing.
    group.make_context(group.name or "", rest, parent=context)


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make ([a-z-]+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_files_that_the_readme_links_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target


def test_the_example_instance_of_the_readme_resolves(tmp_path: Path) -> None:
    whole, gpus = blocks("yaml")
    file = tmp_path / "mine.yaml"
    file.write_text(whole, encoding="utf-8")
    assert load_problem(file).llm.name == "qwen3-32b"
    extended = yaml.safe_load(whole) | yaml.safe_load(gpus)
    extended["cluster"]["pools"].append({"gpu": "my-gpu", "nodes": 1})
    file.write_text(yaml.safe_dump(extended), encoding="utf-8")
    assert any(engine.gpu == "my-gpu" for engine in load_problem(file).engines)


def test_the_plan_that_the_readme_shows_is_that_of_the_embedded_instance() -> None:
    """Not to the letter: other versions of the solver may find another plan within the gap."""
    shown = re.search(r"<!-- output: hexsolve plan -->\n```text\n(.*?)```", README, flags=re.DOTALL)
    assert shown is not None
    run = CliRunner().invoke(cli, ["plan"], env={"COLUMNS": "120"})
    assert run.exit_code == 0, run.output

    def labels(text: str) -> set[str]:
        return set(re.findall(r"^([A-Z][A-Za-z ]*?)(?: {2,}|$)", text, flags=re.MULTILINE))

    assert labels(shown[1]) <= labels(run.stdout)
    for label in ("Cost", "Proof", "SLO scale"):
        figures = [
            [float(number) for number in re.findall(r"\d+\.\d+", line)]
            for text in (shown[1], run.stdout)
            for line in text.splitlines()
            if line.startswith(label)
        ]
        assert figures[0][0] == pytest.approx(figures[1][0], rel=2e-3), label
