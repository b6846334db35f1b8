"""The catalog that ships: complete, dated, found under many names, extended by the user."""

import time

import pytest

from hexsolve.instances.catalog import Catalog, load_catalog
from hexsolve.instances.catalog.names import key
from hexsolve.instances.performance import engine_performance, gpu_efficiency
from hexsolve.models.errors import InputError

CATALOG = load_catalog()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("meta-llama/Meta-Llama-3.1-70B", "llama-3.1-70b"),
        ("LLAMA_3.1_405B", "llama-3.1-405b"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama-3.1-70b"),
        ("QWEN3_32B", "qwen3-32b"),
        ("Qwen/Qwen2.5-72B-Instruct", "qwen2.5-72b"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mixtral-8x7b"),
        ("deepseek-ai/DeepSeek-R1", "deepseek-v3"),
        ("openai/gpt-oss-120b", "gpt-oss-120b"),
        ("llama2-70b", "llama-2-70b"),
        ("bigscience/bloom", "bloom-176b"),
    ],
)
def test_llms_are_found_under_their_public_names(name, found):
    assert CATALOG.llm(name).name == found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a100_sxm", "a100-80"),
        ("A100-80GB", "a100-80"),
        ("H100", "h100"),
        ("h200_sxm", "h200"),
        ("b200_sxm", "b200"),
        ("L40S", "l40s"),
        ("RTX4090", "rtx-4090"),
        ("MI300X", "mi300x"),
        ("h20", "h20"),
        ("L4", "l4"),
    ],
)
def test_gpus_are_found_under_their_usual_names(name, found):
    assert CATALOG.gpu(name).name == found


def test_every_figure_has_a_source_and_a_date():
    for gpu in CATALOG.gpus.values():
        assert gpu.source != "user", gpu.name
        assert gpu.price_source != "user", gpu.name
        assert gpu.as_of is not None, gpu.name
        assert gpu.price_per_hour > 0, gpu.name
    for llm in CATALOG.llms.values():
        assert "https://huggingface.co/" in llm.source, llm.name
        assert llm.as_of is not None, llm.name
    for item in CATALOG.coefficients.values():
        assert item.source, item.llm
    for efficiency in CATALOG.efficiencies.values():
        assert efficiency.source, efficiency.gpu


def test_no_two_entries_answer_to_the_same_name():
    for entries in (CATALOG.gpus, CATALOG.llms):
        owners: dict[str, str] = {}
        for item in entries.values():
            for name in {key(item.name): None, **{key(alias): None for alias in item.aliases}}:
                assert owners.setdefault(name, item.name) == item.name


def test_published_clusters():
    first, second = CATALOG.cluster("hetero-1"), CATALOG.cluster("hetero-2")
    counts = [{pool.gpu: pool.gpus for pool in cluster.pools} for cluster in (first, second)]
    # 2/3/3 and 3/4/3 instances in each of the two pools, four GPUs an instance.
    assert counts[0] == {"a100-80": 16, "h100": 24, "h200": 24}
    assert counts[1] == {"a100-80": 24, "h100": 32, "h200": 24}
    assert CATALOG.cluster("small").gpus <= 48
    assert CATALOG.cluster("mixed-256").gpus == 256
    assert CATALOG.cluster("fleet-100k").gpus == 100_000
    assert len(CATALOG.cluster("fleet-100k").pools) == 8


def test_every_pool_uses_a_known_gpu():
    for cluster in CATALOG.clusters.values():
        for pool in cluster.pools:
            assert pool.gpu in CATALOG.gpus


def test_unknown_names_list_what_exists():
    with pytest.raises(InputError) as caught:
        CATALOG.gpu("h101", source="my.yaml", field="pools[0].gpu")
    text = str(caught.value)
    assert text.startswith("my.yaml: pools[0].gpu: unknown GPU type 'h101'; allowed: ")
    assert "did you mean 'h100'?" in text
    with pytest.raises(InputError, match=r"unknown LLM 'gpt-9'; allowed: .*qwen3-32b"):
        CATALOG.llm("gpt-9")
    with pytest.raises(InputError, match="unknown cluster"):
        CATALOG.cluster("hetero-9")


USER = """
gpus:
  - {name: my-gpu, memory_gib: 48, memory_bandwidth_gb_s: 900, bf16_tflops: 200, price_per_hour: 1}
llms:
  - {name: my-llm, layers: 32, hidden_size: 4096, intermediate_size: 14336, attention_heads: 32,
     kv_heads: 8, head_size: 128, vocabulary: 32000, aliases: [acme/My-LLM-v2]}
clusters:
  - {name: my-cluster, pools: [{gpu: my-gpu, nodes: 3, gpus_per_node: 4}]}
coefficients:
  - {llm: acme/My-LLM-v2, gpu: my-gpu, tp: 1, prefill: {p0: 0.01, p1: 1.0e-4, p2: 1.0e-9},
     decode: {d0: 0.02, d1: 1.0e-5, d2: 1.0e-8},
     measured: {new_tokens: [1, 9], cached_tokens: [0, 0], decode_batch: [1, 2], context: [1, 9]}}
"""


def test_a_user_adds_everything_with_a_few_lines_of_yaml(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(USER)
    catalog = CATALOG.extended_from(path)
    assert catalog.cluster("my-cluster").gpus == 12
    llm, gpu = catalog.llm("my_llm_v2"), catalog.gpu("my-gpu")
    own = engine_performance(catalog, llm, gpu, 1)
    assert own is not None
    assert own.origin == "measured"
    assert own.prefill.p0 == 0.01
    other = engine_performance(catalog, llm, gpu, 2)
    assert other is not None
    assert other.origin == "roofline"
    assert other.measured is None
    assert "my-gpu" not in CATALOG.gpus


def test_a_redefined_llm_loses_the_coefficients_of_the_one_it_replaces():
    llm = CATALOG.llms["llama-3.1-8b"]
    catalog = CATALOG.extended(llms=[llm.model_copy(update={"layers": 64})])
    engine = engine_performance(catalog, catalog.llms["llama-3.1-8b"], catalog.gpus["h100"], 1)
    assert engine is not None
    assert engine.origin == "roofline"
    dearer = CATALOG.gpus["h100"].model_copy(update={"price_per_hour": 9.0})
    same = CATALOG.extended(gpus=[dearer])
    engine = engine_performance(same, llm, same.gpus["h100"], 1)
    assert engine is not None
    assert engine.origin == "measured"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gpus: 3", "gpus: is 3; allowed: "),
        ("gpus: [{name: x}]", r"gpus\[0\].memory_gib: is missing"),
        ("clusters: [{name: x, pools: []}]", r"clusters\[0\].pools: is "),
        ("gpuss: []", "gpuss: is not a known field; did you mean 'gpus'"),
        ("- 1", "allowed: a mapping"),
        ("", "is empty"),
        ("a: [", r"line \d, column \d"),
        (USER.replace("memory_gib: 48", "memory_gib: .nan"), r"gpus\[0\].memory_gib: is nan"),
        (USER.replace("memory_gib: 48", "memory_gib: -1"), r"gpus\[0\].memory_gib: is -1"),
        (USER.replace("kv_heads: 8", "kv_heads: 7"), "must be a multiple of kv_heads"),
        (USER.replace("kv_heads: 8", "kv_headss: 8"), r"llms\[0\].kv_headss?: "),
        (USER.replace("llm: acme/My-LLM-v2", "llm: nope"), "unknown LLM 'nope'"),
    ],
)
def test_mistakes_are_named_in_one_line(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        CATALOG.extended_from(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        CATALOG.extended_from(tmp_path / "none.yaml")
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not UTF-8"):
        CATALOG.extended_from(path)


def test_loading_is_fast():
    load_catalog.cache_clear()
    began = time.perf_counter()
    load_catalog()
    # 60 ms on the development machine; the bound leaves room for a busy one.
    assert time.perf_counter() - began < 1.0


def test_engines_exist_exactly_where_the_model_fits():
    big, small = CATALOG.llms["llama-3.1-405b"], CATALOG.llms["llama-3.1-8b"]
    l4, h200 = CATALOG.gpus["l4"], CATALOG.gpus["h200"]
    assert engine_performance(CATALOG, big, l4, 8) is None
    assert engine_performance(CATALOG, small, l4, 3) is None
    assert engine_performance(CATALOG, small, l4, 0) is None
    assert engine_performance(CATALOG, small, l4, 1, pp=33) is None
    engine = engine_performance(CATALOG, big, h200, 8)
    assert engine is not None
    assert engine.origin == "measured"
    assert engine.measured is not None


def test_pipeline_stages_add_kv_and_speed_up_decoding_of_large_batches():
    llm, gpu = CATALOG.llms["llama-3.1-70b"], CATALOG.gpus["h100"]
    flat, piped = (engine_performance(CATALOG, llm, gpu, 4, pp) for pp in (1, 2))
    assert flat is not None
    assert piped is not None
    assert piped.origin == "roofline"
    assert piped.measured is None
    assert piped.kv_capacity_tokens > 2 * flat.kv_capacity_tokens
    assert piped.prefill == flat.prefill
    assert piped.decode.step_seconds(1, 0) < flat.decode.step_seconds(1, 0) * 1.001
    assert piped.decode.step_seconds(256, 256 * 4096) < flat.decode.step_seconds(256, 256 * 4096)


def test_unmeasured_gpus_borrow_from_their_kind():
    borrowed = {
        name: gpu_efficiency(CATALOG, CATALOG.gpus[name]).gpu
        for name in ("h20", "l4", "a100-40", "h100-pcie", "rtx-6000-ada", "gb300")
    }
    assert borrowed["h20"] in ("h100", "h200")
    assert borrowed["l4"] == borrowed["rtx-6000-ada"] == "l40s"
    assert borrowed["a100-40"] == "a100-80"
    assert borrowed["h100-pcie"] == "h100"
    assert borrowed["gb300"] in ("gb200", "b300")
    assert gpu_efficiency(Catalog(), CATALOG.gpus["h100"]).gpu == "h100"


def test_a_faster_gpu_is_not_slower():
    llm = CATALOG.llms["qwen3-32b"]
    steps = []
    for name in ("l40s", "a100-80", "h100", "h200", "b200"):
        engine = engine_performance(CATALOG, llm, CATALOG.gpus[name], 4)
        assert engine is not None
        steps.append(engine.decode.step_seconds(32, 32 * 2048))
    assert steps == sorted(steps, reverse=True)
