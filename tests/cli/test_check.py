"""``hexsolve check`` on files: exit codes, what it prints, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hexsolve import __version__
from hexsolve.cli.check import check
from hexsolve.instances.resolve import load_problem
from hexsolve.models.answer import Answer, count_instances, problem_hash
from hexsolve.models.errors import InputError
from hexsolve.models.plan import DecodeStep, SingleCalls
from hexsolve.models.status import Limit, Status
from tests.solver.oracle import Candidate, brute_force
from tests.solver.oracle_plan import as_plan

INSTANCE = """
name: four-gpus
llm: llama-3.1-8b
cluster:
  name: one-node
  pools:
    - {gpu: h100, gpus_per_node: 4, nodes: 1}
workload:
  classes:
    - name: chat
      rate_per_s: 20
      calls:
        - {name: answer, new_tokens: 1000, output_tokens: 100}
engines: {tensor_parallel: [1]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an instance and an answer to it, proven by enumeration."""
    folder = tmp_path_factory.mktemp("check")
    instance = folder / "instance.yaml"
    instance.write_text(INSTANCE)
    problem = load_problem(instance)
    (engine,) = problem.engines
    candidates = (
        Candidate(engine, "prefill", SingleCalls(wait_s=0.1)),
        Candidate(engine, "decode", DecodeStep(step_s=0.01, batch_reference=32)),
    )
    plan = as_plan(problem, candidates, brute_force(problem, candidates, "cost"))
    answer = Answer(
        hexsolve_version=__version__,
        instance_name=problem.name,
        instance_hash=problem_hash(problem),
        status=Status.OPTIMAL,
        limit=Limit.NONE,
        objective_kind="cost",
        objective=plan.cost_per_hour,
        bound=plan.cost_per_hour,
        gap=0.0,
        runtime_s=0.1,
        solver="enumeration",
        cost_per_hour=plan.cost_per_hour,
        instances=count_instances(plan),
        plan=plan,
    )
    (folder / "answer.json").write_text(answer.model_dump_json(indent=2))
    return folder


def run(*arguments: str | Path) -> Result:
    wide = {"COLUMNS": "200"}
    return CliRunner().invoke(check, [str(argument) for argument in arguments], env=wide)


def corrupted(folder: Path, tmp_path: Path, **fields: Any) -> Path:
    data = json.loads((folder / "answer.json").read_text())
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps({**data, **fields}))
    return path


def test_a_valid_answer(folder: Path) -> None:
    result = run(folder / "instance.yaml", folder / "answer.json")
    assert result.exit_code == 0
    assert result.output.startswith("ok: ")
    assert "over 2 groups checked\nnot proven by a rule: bound\n" in result.output


def test_a_broken_rule_is_named_with_place_amount_and_unit(folder: Path, tmp_path: Path) -> None:
    plan = json.loads((folder / "answer.json").read_text())["plan"]
    plan["groups"][0]["flows"][0]["calls_per_s"] = 12.5
    wrong = corrupted(folder, tmp_path, plan=plan)
    result = run(folder / "instance.yaml", wrong)
    assert result.exit_code == 1
    for part in ("demand", "chat", "answer", "12.5 calls/s", "20"):
        assert part in result.output
    report = json.loads(run(folder / "instance.yaml", wrong, "--json").output)
    assert report["ok"] is False
    demand = next(v for v in report["violations"] if v["rule"] == "demand")
    assert demand["ids"] == {"workflow": "chat", "call": "answer"}
    assert (demand["amount"], demand["unit"]) == (12.5, "calls/s")
    assert demand["limit"] == pytest.approx(20.0)


def test_json_of_a_valid_answer(folder: Path) -> None:
    result = run("--json", folder / "instance.yaml", folder / "answer.json")
    report = json.loads(result.output)
    assert (result.exit_code, report["ok"], report["violations"]) == (0, True, [])
    assert report["groups"] == 2
    assert report["not_verified"] == ["bound"]
    assert report["rules"] > 30


def test_an_answer_to_another_instance(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(INSTANCE.replace("output_tokens: 100", "output_tokens: 101"))
    result = run(other, folder / "answer.json")
    assert result.exit_code == 1
    assert "instance" in result.output
    assert "another instance" in result.output


def test_without_an_instance_the_default_one_is_meant(folder: Path) -> None:
    result = run(folder / "answer.json")
    assert result.exit_code == 1
    assert "another instance" in result.output


def test_an_answer_without_a_plan(folder: Path, tmp_path: Path) -> None:
    nothing = {"plan": None, "objective": None, "gap": None, "cost_per_hour": None}
    none = corrupted(folder, tmp_path, status="infeasible", instances=[], **nothing)
    result = run(folder / "instance.yaml", none)
    assert (result.exit_code, "the answer holds no plan" in result.output) == (0, True)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"gap": -0.5}, ["gap", "-0.5"]),
        ({"status": "great"}, ["status", "'great'", "'optimal'"]),
        ({"instance_hash": "abc"}, ["instance_hash", "'abc'"]),
        ({"objectiv": 1}, ["objectiv", "did you mean 'objective'?"]),
    ],
)
def test_a_bad_answer_file_is_refused(
    folder: Path, tmp_path: Path, fields: dict[str, Any], said: list[str]
) -> None:
    result = run(folder / "instance.yaml", corrupted(folder, tmp_path, **fields))
    assert isinstance(result.exception, InputError)
    message = str(result.exception)
    assert all(part in message for part in ["wrong.json", *said]), message
    assert "\n" not in message


def test_files_that_are_missing(folder: Path) -> None:
    missing = run(folder / "instance.yaml", folder / "no.json")
    assert isinstance(missing.exception, InputError)
    assert "no.json: does not exist" in str(missing.exception)
    assert run().exit_code == 2
    assert run("a", "b", "c").exit_code == 2
