"""Every mistake a user can make in an instance: one line with file, field, value, and exit 2."""

import copy
import gzip
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.conftest import Run

VALID: dict[str, Any] = {
    "name": "mine",
    "llm": "llama-3.1-8b",
    "cluster": {"name": "one", "pools": [{"gpu": "h100", "gpus_per_node": 2, "nodes": 1}]},
    "workload": {
        "classes": [
            {
                "name": "two-steps",
                "rate_per_s": 1,
                "calls": [
                    {"name": "first", "new_tokens": 500, "output_tokens": 20},
                    {
                        "name": "second",
                        "new_tokens": 50,
                        "cached_tokens": 500,
                        "output_tokens": 20,
                        "after": ["first"],
                    },
                ],
            }
        ]
    },
    "engines": {"tensor_parallel": [1, 2]},
}
POOL = "cluster.pools.0"
CALL = "workload.classes.0.calls.0"


def changed(*changes: tuple[str, Any]) -> dict[str, Any]:
    """Return the valid instance with values set at dotted places; ... removes one."""
    data = copy.deepcopy(VALID)
    for place, value in changes:
        *path, last = [int(part) if part.isdigit() else part for part in place.split(".")]
        holder: Any = data
        for part in path:
            holder = holder[part]
        if value is ...:
            del holder[last]
        else:
            holder[last] = value
    return data


MISTAKES: dict[str, tuple[list[tuple[str, Any]], list[str]]] = {
    "unknown GPU": (
        [(f"{POOL}.gpu", "h10")],
        ["cluster.pools[0].gpu", "'h10'", "allowed: a100", "did you mean 'h100'"],
    ),
    "unknown LLM": (
        [("llm", "lama-3.1-8b")],
        ["llm: ", "'lama-3.1-8b'", "allowed: ", "did you mean 'llama-3.1-8b'"],
    ),
    "unknown cluster": (
        [("cluster", "hetero-3")],
        ["cluster: ", "'hetero-3'", "allowed: ", "did you mean 'hetero-"],
    ),
    "unknown workflow class": (
        [("workload.classes.0", {"use": "chatt", "rate_per_s": 1})],
        ["workload.classes[0].use", "'chatt'", "allowed: chat,", "did you mean 'chat'"],
    ),
    "negative count": (
        [(f"{POOL}.nodes", -2)],
        ["cluster.pools[0].nodes", "-2", "allowed: greater"],
    ),
    "negative rate": (
        [("workload.classes.0.rate_per_s", -1)],
        ["workload.classes[0].rate_per_s", "-1", "allowed: "],
    ),
    "not a number": (
        [(f"{CALL}.new_tokens", float("nan"))],
        ["workload.classes[0].calls[0].new_tokens", "nan", "allowed: a finite number"],
    ),
    "a truth for a number": (
        [(f"{POOL}.nodes", True)],
        ["cluster.pools[0].nodes: is True; allowed: a number"],
    ),
    "a truth for a rate": (
        [("workload.classes.0.rate_per_s", True)],
        ["workload.classes[0].rate_per_s: is True; allowed: a number"],
    ),
    "faster than alone": (
        [("slo_scale", 0.5)],
        ["slo_scale: is 0.5; allowed: greater than or equal to 1"],
    ),
    "infinite": ([("slo_scale", float("inf"))], ["slo_scale", "inf", "allowed: a finite number"]),
    "missing": ([("llm", ...)], ["llm: is missing"]),
    "missing inside": (
        [(f"{CALL}.output_tokens", ...)],
        ["workload.classes[0].calls[0].output_tokens: is missing"],
    ),
    "misspelt": (
        [(f"{CALL}.output_token", 5)],
        ["calls[0].output_token", "not a known field", "did you mean 'output_tokens'"],
    ),
    "wrong type": ([(f"{CALL}.new_tokens", "many")], ["new_tokens", "'many'", "a valid number"]),
    "absurd tokens": (
        [(f"{CALL}.new_tokens", 1e300)],
        ["new_tokens", "1e+300", "allowed: less than or equal to 100000000"],
    ),
    "absurd rate": (
        [("workload.classes.0.rate_per_s", 1e-300)],
        ["rate_per_s", "1e-300", "allowed: greater than or equal to"],
    ),
    "absurd product": (
        [("load", 1e-3), ("workload.classes.0.rate_per_s", 1e-6)],
        ["workload.classes[0].calls[0]", "1e-09 calls/s", "allowed: 1e-08"],
    ),
    "absurd node count": ([(f"{POOL}.nodes", 10**30)], ["nodes", "allowed: less than or equal"]),
    "cycle": (
        [(f"{CALL}.after", ["second"])],
        ["workload.classes[0]", "'two-steps'", "cycle through `after`"],
    ),
    "after a stranger": (
        [(f"{CALL}.after", ["zero"])],
        ["'zero'", "does not exist", "known: first"],
    ),
    "call names twice": (
        [(f"{CALL}.name", "second"), ("workload.classes.0.calls.1.after", [])],
        ["workload.classes[0]", "'second' is defined twice"],
    ),
    "class names twice": (
        [("workload.classes", [VALID["workload"]["classes"][0]] * 2)],
        ["workload.classes[1]", "'two-steps'", "twice"],
    ),
    "GPU type twice": (
        [("cluster.pools", [{"gpu": "h100", "nodes": 1}] * 2)],
        ["cluster", "'h100' stands in more than one pool"],
    ),
    "GPU type twice by alias": (
        [("cluster.pools", [{"gpu": "h100", "nodes": 1}, {"gpu": "h100_sxm", "nodes": 1}])],
        ["cluster.pools[1].gpu", "'h100_sxm'", "another name of 'h100'"],
    ),
    "no nodes": ([(f"{POOL}.nodes", 0)], ["cluster.pools", "no room", "at least 1 GPUs"]),
    "no pools": ([("cluster.pools", [])], ["cluster.pools: is []; allowed: at least 1 item"]),
    "far from any field": ([("zzz", 1)], ["zzz: is not a known field; allowed: assumptions"]),
    "too large a model": (
        [("llm", "deepseek-v3")],
        ["llm: ", "deepseek-v3 needs", "GiB", "fits on no engine of h100 (80 GiB)"],
    ),
    "too long a call": (
        [(f"{CALL}.new_tokens", 5e6)],
        ["workload.classes[0].calls[0]", "'first' has 5,000,020 tokens", "largest KV pool"],
    ),
    "one phase only": (
        [("engines.roles", ["prefill"])],
        ["engines", "mixed, or prefill and decode"],
    ),
    "odd parallelism": ([("engines.tensor_parallel", [3])], ["tensor_parallel[0]", "3", "1, 2, 4"]),
    "missing coefficients": (
        [("coefficients", "none.yaml")],
        ["coefficients", "none.yaml", "does not exist"],
    ),
    "another version": ([("schema_version", 2)], ["schema_version", "2", "allowed: 1"]),
}


@pytest.mark.parametrize(("changes", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line(
    tmp_path: Path, run: Run, changes: list[tuple[str, Any]], said: list[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(changed(*changes)))
    for command in (["plan"], ["instance", "show"]):
        ran = run(*command, path)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith(f"error: {path}: ")
        assert ran.err.count("\n") == 1
        for part in said:
            assert part in ran.err, ran.err


TYPO = """\
name: mine
llm: llama-3.1-8b
cluster:
  name: one
  pools:
  - gpu: h100
     nodes: 1
workload:
  classes:
  - {use: chat, rate_per_s: 1}
"""


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("typo.yaml", TYPO.encode(), ["line 7, column", "mapping values are not allowed"]),
        ("tab.yaml", TYPO.replace("     nodes", "\tnodes").encode(), ["line 7, column"]),
        ("twice.yaml", b"llm: a\nname: x\nllm: b\n", ["line 3, column 1: key 'llm' stands twice"]),
        ("twice.json", b'{"llm": "a", "llm": "b"}', ["key 'llm' stands twice"]),
        ("empty.yaml", b"", ["is empty"]),
        ("blank.yaml", b" \n\n", ["is empty"]),
        ("comment.yaml", b"# nothing\n", ["holds None; allowed: a mapping with fields"]),
        ("cut.json", b'{"name": "x", "llm": ', ["line 1, column", "allowed: JSON"]),
        ("list.yaml", b"- 1\n- 2\n", ["holds [1, 2]; allowed: a mapping with fields"]),
        ("scalar.yaml", b"42\n", ["holds 42; allowed: a mapping with fields"]),
        ("binary.yaml", bytes(range(256)), ["byte 128 is not UTF-8"]),
        ("packed.yaml", gzip.compress(b"name: x", mtime=0), ["is not UTF-8"]),
        ("deep.yaml", b"[" * 200_000, ["nested more than 50 deep"]),
        ("deep.json", b"[" * 200_000, ["nested too deeply"]),
        ("tag.yaml", b"!!python/object/apply:os.getcwd []", ["could not determine a constructor"]),
        (
            "base60.yaml",
            b"load: 1:30\n",
            ["line 1, column 7: '1:30' is another number in YAML than it looks"],
        ),
        ("base8.yaml", b"load: 010\n", ["'010' is another number", "a plain decimal number"]),
        (
            "bomb.yaml",
            b"a: &a [1]\n" + b"".join(b"b%d: &b%d [%s]\n" % (i, i, b"*a," * 9) for i in range(99)),
            ["more than 100 aliases"],
        ),
    ],
)
def test_a_file_that_is_no_instance(
    tmp_path: Path, run: Run, name: str, content: bytes, said: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    ran = run("plan", path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {path}: ")
    assert ran.err.count("\n") == 1
    for part in said:
        assert part in ran.err, ran.err


def test_what_is_no_file(tmp_path: Path, run: Run) -> None:
    for path, said in (
        (tmp_path / "none.yaml", "does not exist"),
        (tmp_path, "is a folder"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"),
    ):
        ran = run("plan", path)
        assert ran.code == 2
        assert said in ran.err, ran.err


def test_a_hundred_megabytes_are_refused_without_reading_them(tmp_path: Path, run: Run) -> None:
    for name in ("large.yaml", "large.json"):
        path = tmp_path / name
        with path.open("wb") as stream:
            stream.truncate(100 * 2**20)
        ran = run("plan", path)
        assert ran.code == 2
        assert "is larger than allowed: at most" in ran.err
    endless = Path("/dev/zero")
    if endless.exists():
        assert run("plan", endless).code == 2


@pytest.mark.parametrize("command", [["instance", "generate", "chat"], ["plan"]])
def test_an_output_that_cannot_be_written(tmp_path: Path, run: Run, command: list[str]) -> None:
    ran = run(*command, "-o", tmp_path / "none" / "x.yaml")
    assert ran.code == 2
    assert "its folder does not exist" in ran.err
    assert run("instance", "generate", "chat", "-o", tmp_path).code == 2


def _never(*_: object, **__: object) -> None:
    raise AssertionError("work was begun")


@pytest.mark.parametrize(
    ("command", "worker"),
    [
        (["plan"], "hexsolve.solver.placement.report.answer"),
        (["optimum", "xs01-chat-1p1d-8b-calm"], "hexsolve.solver.optimum.answer.optimum"),
    ],
)
def test_an_output_is_looked_at_before_the_work(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, command: list[str], worker: str
) -> None:
    monkeypatch.setattr(worker, _never)
    for output, said in (
        (tmp_path, "is a folder; allowed: a file"),
        (tmp_path / "none" / "x.json", "its folder does not exist"),
    ):
        ran = run(*command, "-o", output)
        assert (ran.code, ran.out) == (2, "")
        assert said in ran.err
    # Whoever runs the tests may be allowed everything.
    monkeypatch.setattr("os.access", lambda *_: False)
    ran = run(*command, "-o", tmp_path / "x.json")
    assert (ran.code, ran.out) == (2, "")
    assert "cannot be written: Permission denied" in ran.err


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (("plan",), "-o"),
        (("plan",), "--export-model"),
        (("optimum",), "-o"),
        (("instance", "import"), "-o"),
        (("calibrate", "fit"), "-o"),
        (("calibrate", "roofline"), "-o"),
        (("calibrate", "table", "--llm", "x", "--gpu", "y", "--catalog"), "-o"),
    ],
    ids=" ".join,
)
def test_an_input_is_never_written_over(
    tmp_path: Path, run: Run, command: tuple[str, ...], option: str
) -> None:
    path = tmp_path / "mine.lp"
    path.write_text("precious", encoding="utf-8")
    other = tmp_path / "link.lp"
    other.symlink_to(path)
    for output in (path, other):
        ran = run(*command, path, option, output)
        assert (ran.code, ran.out) == (2, "")
        assert "is an input of this command; allowed: another file" in ran.err
        assert path.read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate", "nan"],
        ["--rate", "inf"],
        ["--rate", "-1"],
        ["--rate", "many"],
        ["--classes", "0"],
        ["--seed", "-1"],
        ["--slo-scale", "0.5"],
        ["--llm", "gpt-9"],
        ["--cluster", "none"],
        ["--tpot", "0"],
        ["--unknown"],
    ],
)
def test_options_of_generate(run: Run, arguments: list[str]) -> None:
    ran = run("instance", "generate", "chat", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert arguments[0] in ran.err


def test_a_shape_that_does_not_exist(run: Run) -> None:
    ran = run("instance", "generate", "chatt")
    assert ran.code == 2
    assert "unknown shape 'chatt'; allowed: agentic-mix, chat," in ran.err
    assert "did you mean 'chat'?" in ran.err


@settings(
    deadline=None,
    derandomize=True,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_unusual_figures_are_planned_or_refused(
    tmp_path: Path, run: Run, data: st.DataObject
) -> None:
    """Whatever passes validation has to come back from the solver with an answer."""
    draw = data.draw
    instance = changed(
        ("workload.classes.0.rate_per_s", 10.0 ** draw(st.integers(-3, 3))),
        (f"{CALL}.new_tokens", 10.0 ** draw(st.integers(1, 4))),
        (f"{CALL}.output_tokens", 10.0 ** draw(st.integers(0, 3))),
        (f"{CALL}.repeat", 10.0 ** draw(st.integers(-2, 2))),
        (f"{POOL}.nodes", 10 ** draw(st.integers(0, 4))),
        (f"{POOL}.price_per_hour", draw(st.sampled_from([0.0, 1e-3, 1.0, 1e3]))),
        ("load", 10.0 ** draw(st.integers(-2, 2))),
    )
    path = tmp_path / "unusual.yaml"
    path.write_text(yaml.safe_dump(instance))
    objective = draw(st.sampled_from(["cost", "load", "slo"]))
    ran = run("plan", path, "--time-limit", 2, "--objective", objective, "--json")
    assert ran.code in (0, 3, 4), ran.err


WORDS = st.sampled_from(
    [
        *("plan", "check", "instance", "calibrate", "show", "validate", "list", "generate"),
        *("import", "evaluate", "--json", "--schema", "--help", "-o", "--rate", "--gap", "--load"),
        *("chat", "chatt", "-1", "0", "nan", "1e400", "é", "", "/", "none.yaml", "VALID"),
    ]
)


@settings(
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(words=st.lists(WORDS, max_size=5))
def test_any_command_line_ends_in_a_known_exit_code(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "valid.yaml"
    path.write_text(yaml.safe_dump(changed()))
    if words[:1] == ["plan"]:
        # The embedded example takes long to plan.
        words = [*words, "--export-model", str(tmp_path / "x.lp"), str(path)]
    if "-o" in words:
        words = [*words, str(tmp_path / "out")]
    ran = run(*[str(path) if word == "VALID" else word for word in words])
    assert ran.code in (0, 2), (words, ran.err)
