"""From files to problems: names, own definitions, paths, and rates that a cluster can carry."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from hexsolve.instances.capacity import default_rate
from hexsolve.instances.generators import SHAPES
from hexsolve.instances.resolve import load_problem
from hexsolve.instances.retention import keep_prefixes
from hexsolve.instances.workflow_catalog import load_workflow_classes
from hexsolve.models.errors import InputError
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.standalone import buildable
from hexsolve.models.workflow import Call, Workflow
from hexsolve.solver.backends import Budget
from hexsolve.solver.placement.report import answer

OWN = """
llm: my-llm
llms:
  - {name: my-llm, layers: 24, hidden_size: 3072, intermediate_size: 8192, attention_heads: 24,
     kv_heads: 8, head_size: 128, vocabulary: 64000}
gpus:
  - {name: my-gpu, memory_gib: 48, memory_bandwidth_gb_s: 1800, bf16_tflops: 400,
     price_per_hour: 1.25}
cluster:
  name: my-cluster
  pools: [{gpu: my-gpu, nodes: 3, gpus_per_node: 6}]
workload:
  classes: [{use: chat, rate_per_s: 2}]
slo_scale: 5
engines: {tensor_parallel: [1, 2, 4]}
"""


def load(tmp_path: Path, text: str) -> PlanningProblem:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return load_problem(path)


def test_own_gpu_llm_and_cluster_in_a_few_lines_are_planned(tmp_path: Path) -> None:
    """Nodes of six GPUs among it: tp 4 fits once into one, tp 2 three times."""
    problem = load(tmp_path, OWN)
    assert [(engine.gpu, engine.tp, engine.origin) for engine in problem.engines] == [
        ("my-gpu", tp, "roofline") for tp in (1, 2, 4)
    ]
    assert problem.cluster.gpus == 18
    found = answer(problem, "cost", Budget(time_s=20))
    assert found.plan is not None
    assert found.gap is not None
    assert found.gap <= 1e-3
    used = sum(each.count * each.tp for each in found.instances)
    assert found.cost_per_hour == pytest.approx(1.25 * used)
    assert all("my-llm on my-gpu" in note for note in found.extrapolated)


def test_the_default_instance_is_planned() -> None:
    problem = load_problem(None)
    assert problem.name == "default"
    assert problem.cluster.gpus == 48
    found = answer(problem, "cost", Budget(time_s=60, gap=0.05))
    assert found.plan is not None
    assert found.bound is not None
    assert found.bound > 0


def test_a_gpu_of_the_catalogs_name_replaces_it_with_its_coefficients(tmp_path: Path) -> None:
    shipped = load(tmp_path, OWN.replace("gpu: my-gpu", "gpu: h100"))
    assert shipped.engines[0].gpu == "h100"
    text = OWN.replace("llm: my-llm", "llm: llama-3.1-8b", 1).replace("my-gpu", "h100")
    own = load(tmp_path, text)
    assert own.gpu("h100").memory_gib == 48
    assert {engine.origin for engine in own.engines} == {"roofline"}
    text = text.replace("{name: h100,", "{name: other,")
    assert {engine.origin for engine in load(tmp_path, text).engines} == {"measured"}


def test_aliases_become_catalog_names(tmp_path: Path) -> None:
    text = OWN.replace("llm: my-llm", "llm: meta-llama/Llama-3.1-8B-Instruct", 1)
    problem = load(tmp_path, text.replace("gpu: my-gpu", "gpu: H100_SXM"))
    assert problem.llm.name == "llama-3.1-8b"
    assert problem.cluster.pools[0].gpu == "h100"
    assert {engine.gpu for engine in problem.engines} == {"h100"}


COEFFICIENTS = """
coefficients:
  - {llm: my-llm, gpu: my-gpu, tp: 1, prefill: {p0: 0.01, p1: 1.0e-4, p2: 1.0e-9},
     decode: {d0: 0.02, d1: 1.0e-5, d2: 1.0e-8},
     measured: {new_tokens: [1, 9], cached_tokens: [0, 0], decode_batch: [1, 2], context: [1, 9]}}
"""


def test_coefficients_are_found_beside_the_instance(tmp_path: Path) -> None:
    (tmp_path / "fit.yaml").write_text(COEFFICIENTS)
    problem = load(tmp_path, OWN + "coefficients: fit.yaml\n")
    assert [engine.origin for engine in problem.engines] == ["measured", "roofline", "roofline"]
    assert problem.engines[0].prefill.p0 == 0.01


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (COEFFICIENTS.replace("p0: 0.01", "p0: -1"), "prefill.p0: is -1"),
        (COEFFICIENTS.replace("llm: my-llm", "llm: nope"), "unknown LLM 'nope'"),
        (COEFFICIENTS.replace("d0: 0.02", "d0: 1.0e300"), "alone on the cluster takes"),
        ("42", "holds 42"),
    ],
)
def test_mistakes_in_coefficients_name_both_files(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "fit.yaml").write_text(text)
    engines = OWN.replace("[1, 2, 4]", "[1]")
    with pytest.raises(InputError) as caught:
        load(tmp_path, engines + "coefficients: fit.yaml\n")
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'mine.yaml'}: ")


def test_names_defined_twice_are_refused(tmp_path: Path) -> None:
    data = yaml.safe_load(OWN)
    for section in ("gpus", "llms"):
        twice: dict[str, Any] = copy.deepcopy(data)
        twice[section] *= 2
        with pytest.raises(InputError, match=rf"{section}\[1\]: 'my-.*' is defined twice"):
            load(tmp_path, yaml.safe_dump(twice))


def test_the_default_rate_scales_with_the_cluster_and_not_with_the_given_rate() -> None:
    problem = load_problem(None)
    rate = default_rate(problem)
    nodes = [pool.model_copy(update={"nodes": 10 * pool.nodes}) for pool in problem.cluster.pools]
    cluster = problem.cluster.model_copy(update={"pools": tuple(nodes)})
    larger = default_rate(problem.model_copy(update={"cluster": cluster}))
    assert larger == pytest.approx(10 * rate, rel=0.2)
    classes = tuple(
        each.model_copy(update={"rate_per_s": 7 * each.rate_per_s})
        for each in problem.workload.classes
    )
    workload = problem.workload.model_copy(update={"classes": classes})
    assert default_rate(problem.model_copy(update={"workload": workload})) == rate


def test_the_default_rate_leaves_a_plan_room(tmp_path: Path) -> None:
    """A third by the estimate: the LP-proven most load of the cluster is 1.5 to 10 times it."""
    text = OWN.replace("rate_per_s: 2", "rate_per_s: 1")
    rate = default_rate(load(tmp_path, text))
    problem = load(tmp_path, text.replace("rate_per_s: 1", f"rate_per_s: {rate}"))
    found = answer(problem, "load", Budget(time_s=20, gap=0.02))
    assert found.objective is not None
    assert 1.5 <= found.objective <= 10.0


def test_prefixes_are_forgotten_after_the_retention() -> None:
    calls = (
        Call(prompt_tokens=100, output_tokens=10, prefix_tokens=40),
        Call(120, 10, parents=(0,), tool_seconds=30.0, prefix_call=0, prefix_tokens=110),
        Call(140, 10, parents=(1,), tool_seconds=9000.0, prefix_call=1, prefix_tokens=130),
        Call(160, 10, parents=(2,), tool_seconds=60.0, prefix_call=2, prefix_tokens=150),
    )
    kept = keep_prefixes([Workflow("w", 0.0, calls)], 60.0)
    (workflow,) = kept.workflows
    workflow.validate()
    assert [call.prefix_tokens for call in workflow.calls] == [40, 110, 0, 150]
    assert [call.tool_seconds for call in workflow.calls] == [0.0, 30.0, 60.0, 60.0]
    assert (kept.pauses, kept.forgotten_tokens, kept.cached_tokens) == (1, 130, 430)
    assert "1 calls come after a longer pause" in kept.text(60.0)
    assert keep_prefixes([Workflow("w", 0.0, calls)], 1e6).text(1e6) == ""
    with pytest.raises(InputError, match="finite number ≥ 0"):
        keep_prefixes([], -1.0)


def test_every_shipped_class_resolves_on_every_shipped_cluster_type(tmp_path: Path) -> None:
    assert set(load_workflow_classes()) <= set(SHAPES)
    uses = [{"use": name, "rate_per_s": 0.01} for name in load_workflow_classes()]
    data = {"llm": "llama-3.1-70b", "cluster": "mixed-256", "workload": {"classes": uses}}
    problem = load(tmp_path, yaml.safe_dump(data))
    assert {engine.gpu for engine in buildable(problem)} == {"a100-80", "h100", "h200", "l40s"}
