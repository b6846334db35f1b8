"""The public traces: every file imports, and known statistics come out."""

import numpy as np
import pytest

from hexsolve.instances.importers import read_trace


@pytest.fixture(scope="module")
def weka(real_trace):
    return real_trace("weka_claude_code.jsonl.gz")


def calls_of(trace):
    return [call for workflow in trace.workflows for call in workflow.calls]


def test_every_file_imports_and_is_sound(data_dir, real_trace):
    formats = {}
    for path in sorted((data_dir / "traces").iterdir()):
        trace, _ = real_trace(path.name)
        formats[path.name.partition(".")[0]] = (trace.format, len(trace.workflows), trace.calls)
        for workflow in trace.workflows:
            workflow.validate()
    expected = {
        "azure_2023_code": ("azure", 8819, 8819),
        "azure_2023_conv": ("azure", 19366, 19366),
        "mlperf_agentic_coding": ("mlperf", 20, 1007),
        "mooncake_conversation": ("mooncake", 8056, 12031),
        "otel": ("otel", 12, 73),
        "text2sql": ("text2sql", 50, 820),
        "vllm_requests_RTX4090_Llama-3": ("vllm-log", 300, 300),
        "weka_claude_code": ("weka", 676, 44_758),
        "weka_raw": ("weka", 6, 207),
    }
    assert {name: formats.get(name) for name in expected} == expected


def test_coding_agent_counts_and_speed(weka):
    trace, seconds = weka
    names = [call.name for call in calls_of(trace)]
    main = sum(not name.startswith("sub-agent") for name in names)
    assert (len(trace.workflows), main, len(names) - main) == (676, 44_082, 676)
    assert names.count("sub-agent-start") == 63
    with_agents = sum(
        any(call.name == "sub-agent-start" for call in workflow.calls)
        for workflow in trace.workflows
    )
    assert with_agents / 676 == pytest.approx(0.025, abs=0.0005)
    assert seconds < 3.0


def test_coding_agent_prefix_hits(weka):
    """97.4 % of the prompt tokens of main-line calls after a session's first."""
    later = [call for call in calls_of(weka[0]) if call.name == "turn"]
    hit = sum(call.prefix_tokens for call in later) / sum(call.prompt_tokens for call in later)
    assert hit == pytest.approx(0.974, abs=0.0005)


def test_coding_agent_distributions(weka):
    trace = weka[0]
    main = [
        [call for call in workflow.calls if not call.name.startswith("sub-agent")]
        for workflow in trace.workflows
    ]
    calls = np.log([len(each) for each in main])
    assert (calls.mean(), calls.std()) == pytest.approx((3.62, 1.15), abs=0.01)
    outputs = [call.output_tokens for each in main for call in each]
    output = np.log([tokens for tokens in outputs if tokens])
    assert (output.mean(), output.std()) == pytest.approx((5.56, 0.89), abs=0.01)
    assert outputs.count(0) == 27
    gaps = np.array([call.tool_seconds for each in main for call in each[1:]])
    # The published gap of lognormal(2.52, 1.29) leaves out long pauses; 10 minutes here.
    gap = np.log(gaps[(gaps > 0) & (gaps < 600)])
    assert (gap.mean(), gap.std()) == pytest.approx((2.5, 1.2), abs=0.1)


def test_coding_agent_sub_agents(weka):
    """At most three at once, and the main line waits for them."""
    most = 0
    for workflow in weka[0].workflows:
        for index, call in enumerate(workflow.calls):
            spawned = [
                k
                for k, each in enumerate(workflow.calls)
                if each.name == "sub-agent-start" and each.parents == (index,)
            ]
            most = max(most, len(spawned))
            if call.name == "turn" and len(call.parents) > 1:
                assert all(
                    workflow.calls[parent].name.startswith("sub-agent")
                    for parent in call.parents[1:]
                )
    assert most == 3


def test_compact_and_original_sessions_agree(real_trace, weka):
    compact = {workflow.name: workflow for workflow in weka[0].workflows}
    original = real_trace("weka_raw")[0].workflows
    assert len(original) == 6
    for workflow in original:
        assert workflow == compact[workflow.name]


@pytest.mark.parametrize(("name", "cv"), [("code", 13.15), ("conv", 1.09)])
def test_azure_inter_arrival_variation(real_trace, name, cv):
    trace, seconds = real_trace(f"azure_2023_{name}.csv.gz")
    assert seconds < 1.0
    gaps = np.diff([workflow.arrival_s for workflow in trace.workflows])
    assert gaps.std() / gaps.mean() == pytest.approx(cv, abs=0.01)


def test_mooncake_keeps_most_of_the_reuse(real_trace):
    trace, _ = real_trace("mooncake_conversation.jsonl.gz")
    calls = calls_of(trace)
    hit = sum(call.prefix_tokens for call in calls) / sum(call.prompt_tokens for call in calls)
    # 37.4 % of the prompt tokens are repeated over all requests.
    assert hit == pytest.approx(0.350, abs=0.001)
    arrivals = [workflow.arrival_s for workflow in trace.workflows]
    assert arrivals == sorted(arrivals)


def test_text2sql_stages(real_trace):
    trace, _ = real_trace("text2sql.json")
    assert trace.calls / len(trace.workflows) == pytest.approx(16, abs=0.5)
    for workflow in trace.workflows:
        pair = [k for k, c in enumerate(workflow.calls) if c.name.startswith("generate_candidate")]
        assert len(pair) == 2
        assert workflow.calls[pair[0]].parents == workflow.calls[pair[1]].parents
        assert workflow.calls[pair[1] + 1].parents == tuple(pair)


def test_otel_shapes(data_dir):
    folder = data_dir / "traces" / "otel"
    chain = read_trace(folder / "simple_chain.json").workflows[0]
    assert [call.parents for call in chain.calls] == [(), (0,), (1,)]
    fan_in = read_trace(folder / "fan_in_dependencies.json").workflows[0]
    assert [call.parents for call in fan_in.calls] == [(), (0,), (0,), (1, 2)]
    shared = {
        flow.name: flow for flow in read_trace(folder / "prefix_sharing_example.json").workflows
    }
    assert len(shared) == 4
    turns = shared["conversation_trace"].calls
    assert [call.prefix_call for call in turns] == [-1, 0, 1, 2]
    assert all(call.prefix_tokens > 0.5 * call.prompt_tokens for call in turns[1:])
