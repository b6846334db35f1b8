"""``hexsolve plan --simulate``: promise and simulation side by side, from a tiny instance."""

import json

import pytest
import yaml

from hexsolve.instances.resolve import load_problem
from hexsolve.models.answer import Answer
from hexsolve.models.check import check_answer
from hexsolve.models.promised import promised_calls, promised_workflows

TINY = {
    "schema_version": 1,
    "name": "tiny",
    "llm": "llama-3.1-8b",
    "cluster": {"name": "one-node", "pools": [{"gpu": "h100", "nodes": 1, "gpus_per_node": 4}]},
    "engines": {"tensor_parallel": [1], "pipeline_parallel": [1]},
    "workload": {
        "classes": [
            {
                "name": "chat",
                "rate_per_s": 2.0,
                "calls": [
                    {"name": "first", "new_tokens": 800, "output_tokens": 60, "new_tokens_cv": 0.5},
                    {
                        "name": "next",
                        "new_tokens": 100,
                        "cached_tokens": 860,
                        "output_tokens": 40,
                        "repeat": 1.5,
                        "tool_seconds": 0.5,
                        "after": ["first"],
                    },
                ],
            }
        ]
    },
}


@pytest.fixture(params=[["prefill", "decode"], ["mixed"]], ids=["apart", "mixed"])
def tiny(request, tmp_path):
    path = tmp_path / "tiny.yaml"
    engines = {**TINY["engines"], "roles": request.param}
    path.write_text(yaml.safe_dump({**TINY, "engines": engines}), encoding="utf-8")
    return path


def test_promise_and_simulation_stand_side_by_side(run, tiny, tmp_path):
    file = tmp_path / "answer.json"
    command = ("plan", tiny, "--simulate", "--workflows", 400, "--seed", 3)
    ran = run(*command, "--json", "-o", file)
    assert ran.code == 0, ran.err
    answer = Answer.model_validate_json(ran.out)
    assert check_answer(load_problem(tiny), answer) == []
    assert answer == Answer.model_validate_json(file.read_text(encoding="utf-8"))
    assert run("check", tiny, file).code == 0

    made = answer.simulation
    assert made is not None
    assert (made["policy"], made["seed"], made["workflows"]) == ("planned", 3, 400)
    # Alone the shared text has to be prefilled; here an earlier workflow has left it.
    assert 0.9 < made["slowdown"] <= made["req95"] <= made["req99"]
    (chat,) = made["classes"]
    assert chat["promised"]["latency_s"] == answer.plan.latency_s["chat"]
    assert chat["workflows"] == made["counted_workflows"]
    # An almost idle cluster: the plan cannot be far off, whatever it assumes about queues.
    low, high = chat["simulated"]["latency_s_ci95"]
    assert low <= chat["simulated"]["latency_s"] <= high
    ratio = chat["promised"]["latency_s"] / chat["simulated"]["latency_s"]
    assert 0.9 < ratio < 1.2
    for phases in (chat["promised"]["calls"], chat["simulated"]["calls"]):
        assert 0.0 <= phases["wait"] < phases["ttft"] < phases["latency"]
        assert 0.0 < phases["step"] <= phases["tpot"]
    # A call's latency is made of what its phases promise.
    for phases in (promised_calls(load_problem(tiny), answer.plan)).values():
        parts = phases.ttft + phases.transfer
        assert parts < phases.latency
    assert [row["id"] for row in made["groups"]] == [group.id for group in answer.plan.groups]
    for row in made["groups"]:
        assert 0.0 < row["simulated"]["busy"] <= 1.0 + 1e-9
        if row["promised"]["batch"] is not None:
            # Little's law on both sides.
            assert row["simulated"]["batch"] == pytest.approx(row["promised"]["batch"], rel=0.3)

    # The same options give the same simulation.
    again = json.loads(run(*command, "--json").out)
    assert again["simulation"] == made


def test_promises_add_up_to_what_the_plan_states(run, tiny):
    answer = Answer.model_validate_json(run("plan", tiny, "--json").out)
    assert answer.simulation is None
    stated = promised_workflows(load_problem(tiny), answer.plan)
    assert stated == pytest.approx(answer.plan.latency_s, rel=1e-6)


def test_a_person_sees_both(run, tiny):
    ran = run("plan", tiny, "--simulate", "--workflows", 50, "--policy", "least-work")
    assert ran.code == 0
    for text in ("promised and simulated", "Req95", "least-work", "KV at work"):
        assert text in ran.out


def test_an_unknown_policy_is_named_before_planning(run, tiny):
    ran = run("plan", tiny, "--simulate", "--policy", "magic")
    assert ran.code == 2
    assert "unknown policy 'magic'" in ran.err
