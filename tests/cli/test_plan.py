"""``hexsolve plan``: exit codes, JSON, files, exported models, and what people read."""

import json
from pathlib import Path
from typing import Any

import highspy
import pytest

from hexsolve.cli.main import main
from hexsolve.solver.backends import Run as SolverRun
from hexsolve.solver.result import Limit

INSTANCE = """
name: tiny
llm: llama-3.1-8b
cluster:
  name: two-nodes
  pools:
    - {gpu: h100, gpus_per_node: 4, nodes: 2}
    - {gpu: a100-80, gpus_per_node: 4, nodes: 1}
workload:
  classes:
    - name: chat
      rate_per_s: 20
      calls:
        - {name: answer, new_tokens: 1000, output_tokens: 100}
engines: {tensor_parallel: [1]}
"""
KEYS = {
    *("status", "limit", "objective", "bound", "gap", "runtime_s", "cost_per_hour"),
    *("instances", "bottleneck"),
}


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "tiny.yaml"
    path.write_text(INSTANCE)
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> "Run":
    monkeypatch.setenv("COLUMNS", "120")
    return Run(capsys)


class Run:
    """Runs the command line in this process; gives exit code, stdout and stderr."""

    def __init__(self, capsys: pytest.CaptureFixture[str]):
        self.capsys = capsys

    def __call__(self, *arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        out, err = self.capsys.readouterr()
        assert "Traceback" not in err
        return int(end.value.code or 0), out, err


@pytest.mark.parametrize("objective", ["load", "cost", "slo"])
def test_json(run: Run, instance: Path, objective: str) -> None:
    code, out, err = run("plan", instance, "--objective", objective, "--gap", "0.01", "--json")
    assert (code, err) == (0, "")
    made: dict[str, Any] = json.loads(out)
    assert set(made) >= KEYS
    assert made["objective_kind"] == objective
    assert made["status"] in ("optimal", "feasible")
    assert made["instances"]
    for entry in made["instances"]:
        assert set(entry) == {"role", "gpu", "tp", "pp", "count"}
        assert entry["count"] >= 1
    assert 0.0 <= made["gap"] <= 0.01
    better = 1.0 if objective == "load" else -1.0
    assert better * made["bound"] >= better * made["objective"] - 1e-6
    assert made["bottleneck"].startswith("limited by")


def test_json_repeats_except_for_the_runtime(run: Run, instance: Path) -> None:
    texts = []
    for _ in range(2):
        code, out, _ = run("plan", instance, "--json")
        assert code == 0
        texts.append([line for line in out.splitlines() if '"runtime_s"' not in line])
    assert texts[0] == texts[1]
    assert len(texts[0]) == len(out.splitlines()) - 1


def test_a_written_answer_passes_the_checker_and_a_corrupted_one_does_not(
    run: Run, instance: Path, tmp_path: Path
) -> None:
    answer = tmp_path / "plan.json"
    code, out, err = run("plan", instance, "-o", answer)
    assert code == 0
    assert "Plan for llama-3.1-8b" in out
    assert f"wrote {answer}" in err
    assert run("check", instance, answer)[0] == 0
    whole = json.loads(answer.read_text())
    corruptions: list[tuple[str, dict[str, Any]]] = []
    for name, factor in (("cost_per_hour", 0.9), ("load", 2.0), ("slo_scale", 0.5)):
        plan = {**whole["plan"], name: whole["plan"][name] * factor}
        corruptions.append((name, {"plan": plan}))
    corruptions += [("bound", {"bound": whole["bound"] * 2}), ("status", {"status": "infeasible"})]
    corruptions.append(("instance_hash", {"instance_hash": "0" * 64}))
    for name, fields in corruptions:
        answer.write_text(json.dumps({**whole, **fields}))
        code, out, _ = run("check", instance, answer, "--json")
        assert code == 1, name
        assert json.loads(out)["violations"], name


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        ("cost", ["US$/h", "no plan on the grid gets below", "Headroom"]),
        ("load", ["× load", "no plan on the grid carries more than"]),
        ("slo", ["SLO scale", "no plan on the grid gets below"]),
    ],
)
def test_what_people_read(run: Run, instance: Path, objective: str, said: list[str]) -> None:
    code, out, err = run("plan", instance, "--objective", objective, "--gap", "0.01")
    assert (code, err) == (0, "")
    for part in [
        *said,
        *("Plan for llama-3.1-8b on two-nodes", "Role", "GPU", "Instances", "h100"),
        *("Load", "Cost", "SLO scale", "Proof", "gap", "Why not better", "limited by"),
        *("What more hardware would bring", "one GPU more", "one node more"),
        *("Mean latency of each workflow class", "chat", "Disaggregate"),
    ]:
        assert part in out, part


def test_infeasible(run: Run, instance: Path) -> None:
    code, out, _ = run("plan", instance, "--budget-per-hour", "1", "--json")
    made = json.loads(out)
    assert code == 3
    assert (made["status"], made["conflict"]) == ("infeasible", ["budget"])
    (change,) = (c for c in made["changes"] if c["what"] == "budget_per_hour")
    code, _, _ = run("plan", instance, "--budget-per-hour", str(change["needed"]))
    assert code == 0
    code, out, err = run("plan", instance, "--load", "1000")
    assert (code, err) == (3, "")
    assert "infeasible: the load cannot be served within the GPUs there are" in out
    listed = [line for line in out.splitlines() if line.startswith("  • ")]
    assert len(listed) == len(set(listed)) >= 3


def test_nothing_found_in_time(run: Run, instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_time(*_: object) -> Any:
        return SolverRun(None, 1.25, Limit.TIME)

    monkeypatch.setattr("hexsolve.solver.backends.scip.SCIP.solve", out_of_time)
    code, out, _ = run("plan", instance, "--objective", "slo", "--solver", "scip", "--json")
    made = json.loads(out)
    assert code == 4
    assert (made["status"], made["limit"], made["plan"]) == ("no_solution", "time", None)
    assert (made["objective"], made["bound"], made["gap"]) == (None, 1.25, None)
    code, out, _ = run("plan", instance, "--objective", "slo", "--solver", "scip")
    assert code == 4
    assert "no plan on the grid can be better than 1.25 SLO scale" in out
    assert "try a longer --time-limit" in out


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--load", value] for value in ("nan", "inf", "0", "-1", "1e300", "x")),
        *(["--slo-scale", value] for value in ("nan", "inf", "0", "0.99")),
        *(["--budget-per-hour", value] for value in ("nan", "-inf", "0")),
        *(["--gap", value] for value in ("nan", "-0.1", "11")),
        *(["--time-limit", value] for value in ("nan", "inf", "0")),
        ["--threads", "0"],
        ["--solver", "cplex"],
        ["--objective", "speed"],
        ["--export-model", "model.txt"],
        ["--export-model", "no/such/folder/model.lp"],
        ["-o", "no/such/folder/plan.json"],
        ["--no-such-option"],
    ],
)
def test_wrong_options(run: Run, instance: Path, arguments: list[str]) -> None:
    code, out, err = run("plan", instance, *arguments)
    assert (code, out) == (2, "")
    assert "rror: " in err.splitlines()[-1]
    assert arguments[0] in err or arguments[-1] in err


def test_wrong_instances(run: Run, instance: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    for old, new, said in (
        ("gpu: h100", "gpu: h1000", "h1000"),
        ("nodes: 2", "nodes: -2", "nodes"),
        ("rate_per_s: 20", "rate_per_s: .nan", "rate_per_s"),
        ("new_tokens: 1000", "new_tokens: 90000000", "KV pool"),
    ):
        wrong.write_text(INSTANCE.replace(old, new))
        code, out, err = run("plan", wrong)
        assert (code, out) == (2, ""), new
        assert said in err
        assert len(err.splitlines()) == 1
    assert run("plan", tmp_path / "missing.yaml")[0] == 2


@pytest.mark.parametrize("suffix", [".lp", ".mps"])
@pytest.mark.parametrize("objective", ["load", "cost", "slo"])
def test_an_exported_model_has_the_same_optimum(
    run: Run, instance: Path, tmp_path: Path, objective: str, suffix: str
) -> None:
    path = tmp_path / f"model{suffix}"
    small = tmp_path / "small.yaml"
    one = INSTANCE.replace("nodes: 2", "nodes: 1").replace("gpus_per_node: 4", "gpus_per_node: 1")
    small.write_text(one)
    options = ["--objective", objective]
    code, out, err = run("plan", small, *options, "--export-model", path)
    assert (code, out) == (0, "")
    assert "wrote" in err
    assert "load and flows in units of 1\n" in err
    code, out, _ = run("plan", small, *options, "--gap", "0", "--json")
    assert code == 0
    made = json.loads(out)
    assert made["status"] == "optimal"
    engine = highspy.Highs()
    engine.setOptionValue("output_flag", False)
    engine.setOptionValue("mip_rel_gap", 0.0)
    assert engine.readModel(str(path)) != highspy.HighsStatus.kError
    engine.run()
    assert engine.getModelStatus() == highspy.HighsModelStatus.kOptimal
    # MPS files have no sense that all readers know: they always minimise.
    sign = -1.0 if (objective, suffix) == ("load", ".mps") else 1.0
    assert sign * engine.getObjectiveValue() == pytest.approx(made["objective"], rel=1e-5)


def test_what_if_solves_again(run: Run, instance: Path) -> None:
    code, out, _ = run(
        "plan", instance, "--objective", "load", "--gap", "0.01", "--what-if", "--json"
    )
    gains = json.loads(out)["gains"]
    assert code == 0
    assert [gain["gpu"] for gain in gains] == ["h100", "a100-80"]
    assert all(gain["exact"] for gain in gains)
    assert all(gain["one_node"] > gain["one_gpu"] > 0 for gain in gains)


def test_a_plan_with_other_targets_is_checked_and_simulated_with_them(
    run: Run, instance: Path, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    given = ("--slo-scale", "5", "--load", "0.5", "--budget-per-hour", "500")
    assert run("plan", instance, *given, "-o", path)[0] == 0
    made = json.loads(path.read_text())
    targets = {"slo_scale": 5.0, "load": 0.5, "budget_per_hour": 500.0}
    assert targets.items() <= made["parameters"].items()
    code, out, _ = run("check", instance, path)
    assert (code, out[:4]) == (0, "ok: ")
    code, out, _ = run("simulate", path, "--instance", instance, "-n", "20", "--json")
    assert (code, json.loads(out)["workflows"]) == (0, 20)
    # Without them the instance is another one, and out of range they are named.
    for changed, code, said in ((None, 1, "another instance"), (-1, 2, "parameters: load: is -1")):
        parameters = {**made["parameters"], "load": changed}
        path.write_text(json.dumps({**made, "parameters": parameters}))
        ended, out, err = run("check", instance, path)
        assert ended == code
        assert said in " ".join((out + err).split())


def test_calls_beyond_the_context_are_warned_of(run: Run, instance: Path, tmp_path: Path) -> None:
    long = tmp_path / "long.yaml"
    long.write_text(INSTANCE.replace("new_tokens: 1000", "new_tokens: 140000"))
    path = tmp_path / "plan.json"
    _, out, _ = run("plan", long, "--load", "0.01", "--gap", "0.3", "-o", path)
    assert "Warning         calls of up to 140,100 tokens, beyond the LLM's context of" in out
    (warning,) = json.loads(path.read_text())["warnings"]
    assert warning in out
    # A line per engine, however many of its calls were not measured.
    engines = [line.split(":")[0] for line in out.splitlines() if line.startswith("Extrapolated")]
    assert len(engines) == len(set(engines)) >= 1
    _, out, _ = run("plan", instance, "--gap", "0.3", "--json")
    assert json.loads(out)["warnings"] == []
