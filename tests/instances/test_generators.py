"""Generated workflows against the published figures they are calibrated to."""

import math
from itertools import pairwise

import numpy as np
import pytest

from hexsolve.instances.generators import SHAPES, mix
from hexsolve.models.errors import InputError


def generated(shape, count, seed=3):
    return SHAPES[shape].generate(count, np.random.default_rng(seed))


def flat(workflows):
    return [call for workflow in workflows for call in workflow.calls]


def new(call):
    return call.prompt_tokens - call.prefix_tokens


def assert_mean(values, expected, *, slack=0.0):
    """The sample mean lies within 4 standard errors (p = 6e-5) and `slack` of the figure."""
    values = np.asarray(values, dtype=float)
    error = values.std(ddof=1) / math.sqrt(len(values))
    assert abs(values.mean() - expected) < 4 * error + slack, (values.mean(), expected, error)
    # The test must be able to see a deviation of 10 %.
    assert 4 * error + slack < 0.1 * abs(expected)


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_workflows_are_sound_repeatable_and_differ_by_seed(shape):
    workflows = generated(shape, 40)
    assert len(workflows) == 40
    for workflow in workflows:
        workflow.validate()
        assert workflow.arrival_s == 0.0
    assert generated(shape, 40) == workflows
    assert generated(shape, 40, seed=4) != workflows
    assert generated(shape, 0) == []


# Token counts are rounded to integers of at least 1, which moves a mean by less than 0.5.
@pytest.mark.parametrize(
    ("shape", "count", "calls", "prefill", "decode"),
    [
        ("chat", 6000, 6.66, 256, 277),
        ("tool-calling", 2000, 10.75, 735, 34),
        ("tree-search", 120, 159.7, 467, 73),
    ],
)
def test_autellix_figures(shape, count, calls, prefill, decode):
    workflows = generated(shape, count)
    assert_mean([len(workflow.calls) for workflow in workflows], calls)
    assert_mean([new(call) for call in flat(workflows)], prefill, slack=0.5)
    assert_mean([call.output_tokens for call in flat(workflows)], decode, slack=0.5)


def test_tree_search_width_depth_and_shared_paths():
    for workflow in generated("tree-search", 60):
        calls = workflow.calls
        depth: dict[int, int] = {}
        for index, call in enumerate(calls):
            if call.name == "expand":
                depth[index] = depth.get(call.prefix_call, 0) + 1
            else:
                assert call.prefix_call in depth
                assert call.parents == (call.prefix_call,)
        assert 1 <= max(depth.values()) <= 10
        for start in range(0, len(calls), 10):
            siblings = calls[start : start + 5]
            assert len({(c.prefix_call, c.prefix_tokens, c.parents) for c in siblings}) == 1
            assert [c.name for c in siblings] == ["expand"] * 5
    depths = [max(path_depth(workflow.calls)) for workflow in generated("tree-search", 100, seed=5)]
    assert 5 <= np.mean(depths) <= 10


def path_depth(calls):
    depth = []
    for call in calls:
        before = depth[call.prefix_call] if call.prefix_call >= 0 else 0
        depth.append(before + (call.name == "expand"))
    return depth


def test_coding_agent_distributions():
    workflows = generated("coding-agent", 1500)
    main = [[c for c in w.calls if not c.name.startswith("sub-agent")] for w in workflows]
    # Rounding to integers ≥ 1 and the cut at 2,000 calls move these by less than 0.01.
    lengths = np.log([len(each) for each in main])
    assert_mean(lengths, 3.62, slack=0.01)
    assert lengths.std() == pytest.approx(1.15, abs=4 * 1.15 / math.sqrt(2 * len(lengths)) + 0.02)
    output = np.log([call.output_tokens for each in main for call in each])
    assert_mean(output, 5.56, slack=0.01)
    assert output.std() == pytest.approx(0.89, abs=0.01)
    gap = np.log([call.tool_seconds for each in main for call in each[1:]])
    assert_mean(gap, 2.52)
    assert gap.std() == pytest.approx(1.29, abs=0.02)
    growth = [
        math.log(after.prompt_tokens - before.prompt_tokens)
        for each in main
        for before, after in pairwise(each)
        if after.prompt_tokens > before.prompt_tokens
    ]
    # Compactions cut a few large growths off.
    assert_mean(growth, 6.59, slack=0.05)
    assert np.std(growth) == pytest.approx(1.30, abs=0.06)


def test_coding_agent_prefix_hits_and_sub_agents():
    workflows = generated("coding-agent", 2000)
    turns = [call for call in flat(workflows) if call.name == "turn"]
    hit = sum(call.prefix_tokens for call in turns) / sum(call.prompt_tokens for call in turns)
    assert hit == pytest.approx(0.974, abs=0.003)
    starts = [
        [call for call in workflow.calls if call.name == "sub-agent-start"]
        for workflow in workflows
    ]
    share = np.mean([bool(each) for each in starts])
    # Binomial; the 0.4 % of sessions of one call cannot have any.
    assert share == pytest.approx(0.025, abs=4 * math.sqrt(0.025 * 0.975 / 2000))
    agents = sum(len(each) for each in starts)
    calls = sum(call.name.startswith("sub-agent") for call in flat(workflows))
    assert calls / agents == pytest.approx(11.0, abs=4 * math.sqrt(10 / agents))
    at_once = [
        sum(call.parents == start.parents for call in each) for each in starts for start in each
    ]
    assert max(at_once) == 3


def test_swe_agent_figures():
    workflows = generated("swe-agent", 4000)
    turns = [len(workflow.calls) for workflow in workflows]
    assert_mean(turns, 10.9)
    assert np.std(turns) == pytest.approx(2.1, abs=0.12)
    totals = [sum(c.prompt_tokens + c.output_tokens for c in w.calls) for w in workflows]
    assert_mean(totals, 70_000, slack=500)
    tools = np.array([call.tool_seconds for w in workflows for call in w.calls[1:]])
    assert_mean(tools, 0.93)
    assert tools.std() == pytest.approx(3.6, rel=0.05)


def test_text_to_sql_figures():
    workflows = generated("text-to-sql", 800)
    calls = flat(workflows)
    assert np.mean([len(workflow.calls) for workflow in workflows]) == pytest.approx(16, abs=1.5)
    figures = {
        "retrieve": (4, 306, 5),
        "keywords": (None, 660, 38),
        "candidate": (2, 11_000, 550),
        "revise": (None, 7000, 100),
        "unit-test": (3, 275, 4),
        "write-test": (1, 1000, 88),
        "evaluate": (5, 900, 22),
    }
    for name, (count, prompt, output) in figures.items():
        stage = [call for call in calls if call.name == name]
        if count:
            assert len(stage) == count * 800
        assert_mean([call.prompt_tokens for call in stage], prompt, slack=0.5)
        assert_mean([call.output_tokens for call in stage], output, slack=0.2)
    revisions = [sum(call.name == "revise" for call in w.calls) for w in workflows]
    assert (min(revisions), max(revisions)) == (0, 10) or max(revisions) < 10
    for workflow in workflows[:20]:
        stages = [call.parents for call in workflow.calls if call.name == "evaluate"]
        assert len(set(stages)) == 1
        assert len(workflow.calls[-1].parents) == 5


def test_deep_research_figures():
    workflows = generated("deep-research", 800)
    assert_mean([len(workflow.calls) for workflow in workflows], 33)
    calls = flat(workflows)
    main = [call for call in calls if call.name != "summarise"]
    pages = [call for call in calls if call.name == "summarise"]
    assert_mean([call.prompt_tokens for call in main], 4800, slack=20)
    assert_mean([call.output_tokens for call in main], 324, slack=0.5)
    assert_mean([call.prompt_tokens for call in pages], 7800, slack=20)
    assert_mean([call.output_tokens for call in pages], 93, slack=0.5)
    waits = np.array([call.tool_seconds for call in pages])
    assert_mean(waits, 15.3)
    assert waits.std() == pytest.approx(10, rel=0.05)
    widths = [
        sum(call.parents == (index,) for call in workflow.calls)
        for workflow in workflows
        for index, call in enumerate(workflow.calls)
        if call.name == "main"
    ]
    assert (min(widths), max(widths)) == (1, 12)


def test_plan_execute_and_map_reduce():
    for workflow in generated("plan-execute", 100):
        plan, join = workflow.calls
        assert join.parents == (0,)
        assert join.prefix_tokens == plan.prompt_tokens + plan.output_tokens
    for workflow in generated("map-reduce", 100):
        *maps, reduce = workflow.calls
        assert 4 <= len(maps) <= 16
        assert reduce.parents == tuple(range(len(maps)))
        assert all(call.parents == () for call in maps)


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_planning_workload(shape):
    workload = SHAPES[shape].workload(0.5, max_classes=12)
    assert sum(flow.rate_per_s for flow in workload.classes) == pytest.approx(0.5)
    assert 1 <= sum(len(flow.calls) for flow in workload.classes) <= 12
    assert workload.approximation.startswith(f"generated {shape}, seed 0")


def test_planning_workload_repeats():
    assert SHAPES["everything"].workload(0.5) == SHAPES["everything"].workload(0.5)
    assert SHAPES["everything"].workload(0.5) != SHAPES["everything"].workload(0.5, seed=1)


def test_mix_shares():
    both = mix("both", [SHAPES["chat"], SHAPES["plan-execute"]], [3, 1])
    workflows = both.generate(2000, np.random.default_rng(0))
    share = np.mean([workflow.workflow_class == "chat" for workflow in workflows])
    assert share == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / 2000))
    assert both.description == "mix: 75% chat, 25% plan-execute"


@pytest.mark.parametrize("weights", [[1], [0, 0], [-1, 2], [float("nan"), 1]])
def test_mix_refuses_odd_weights(weights):
    with pytest.raises(InputError, match="weights"):
        mix("odd", [SHAPES["chat"], SHAPES["plan-execute"]], weights)
