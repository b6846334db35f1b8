from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.instances.classes import error_curve, from_workflows, summarise
from hexsolve.instances.classes.split import Problem, split
from hexsolve.instances.classes.table import OFF_PATH, call_table, path_share
from hexsolve.instances.generators import SHAPES
from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Call, Workflow


def sample(shape, count=60, seed=1):
    return SHAPES[shape].generate(count, np.random.default_rng(seed))


def rates(workload):
    """Calls, new, cached and output tokens per second of the planning classes."""
    total = np.zeros(4)
    for flow in workload.classes:
        for call in flow.calls:
            per_second = flow.rate_per_s * call.calls_per_workflow
            total += per_second * np.array(
                [1.0, call.new_tokens, call.cached_tokens, call.output_tokens]
            )
    return total


def true_rates(workflows, rate):
    calls = [call for workflow in workflows for call in workflow.calls]
    cached = [min(call.prefix_tokens, call.prompt_tokens - 1) for call in calls]
    prompt = sum(call.prompt_tokens for call in calls)
    output = sum(call.output_tokens for call in calls)
    totals = np.array([len(calls), prompt - sum(cached), sum(cached), output], dtype=float)
    return totals * rate / len(workflows)


@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("count", [1, 5, 16])
def test_rates_are_exact(shape, count):
    workflows = sample(shape)
    found = summarise(workflows, max_classes=count, rate=0.7)
    assert rates(found.workload) == pytest.approx(true_rates(workflows, 0.7), rel=1e-9)
    assert sum(flow.rate_per_s for flow in found.workload.classes) == pytest.approx(0.7, rel=1e-12)
    classes = sum(len(flow.calls) for flow in found.workload.classes)
    assert classes == found.error.call_classes <= count
    indices = np.sort(np.concatenate(found.groups))
    assert np.array_equal(indices, np.arange(sum(len(flow.calls) for flow in workflows)))


call_tokens = st.tuples(st.integers(1, 5000), st.integers(0, 5000), st.integers(0, 300))


@given(
    flows=st.lists(st.lists(call_tokens, min_size=1, max_size=6), min_size=1, max_size=12),
    most=st.integers(1, 8),
    per_kind=st.integers(1, 3),
)
@settings(deadline=None, derandomize=True, max_examples=150)
def test_rates_are_exact_for_any_workflows(flows, most, per_kind):
    workflows = [
        Workflow(
            f"w{number}",
            0.0,
            tuple(
                # Fan-out from the first call; a prefix may be the whole prompt.
                Call(
                    prompt,
                    output,
                    (0,) if k else (),
                    prefix_call=-1,
                    prefix_tokens=min(prefix, prompt),
                    name=f"step {k % 3}",
                )
                for k, (prompt, prefix, output) in enumerate(calls)
            ),
            workflow_class=f"kind {number % 2}",
        )
        for number, calls in enumerate(flows)
    ]
    workload = from_workflows(workflows, max_classes=most, workflow_classes=per_kind, rate=2.0)
    kinds = {flow.workflow_class for flow in workflows} if most > 1 else {"all"}
    silent = any(
        not sum(
            c.output_tokens for f in workflows for c in f.calls if kind in ("all", f.workflow_class)
        )
        for kind in sorted(kinds)
    )
    expected = true_rates(workflows, 2.0)
    found = rates(workload)
    # A group that generates nothing at all has to be planned with a token per call.
    if silent:
        found, expected = found[:3], expected[:3]
    assert found == pytest.approx(expected, rel=1e-9)


def test_calls_without_output_join_others():
    flow = Workflow("w", 0.0, (Call(100, 0), Call(5000, 0, (0,)), Call(120, 40, (1,))))
    workload = from_workflows([flow] * 10, max_classes=8)
    assert rates(workload)[3] == pytest.approx(40.0)
    silent = from_workflows([Workflow("w", 0.0, (Call(100, 0),))])
    assert silent.classes[0].calls[0].output_tokens == 1.0


def test_one_call_workflows_become_classes_of_their_own():
    """Small and large requests must not add up to one path."""
    flows = [Workflow("s", 0.0, (Call(100, 10),))] * 30 + [
        Workflow("l", 0.0, (Call(9000, 900),))
    ] * 10
    workload = from_workflows(flows, max_classes=4, rate=4.0)
    found = [(f.rate_per_s, f.calls[0].new_tokens, len(f.calls)) for f in workload.classes]
    assert sorted(found) == [(1.0, 9000.0, 1), (3.0, 100.0, 1)]


def test_path_counts_the_slowest_branch():
    calls = (Call(10, 10), Call(10, 500, (0,)), Call(10, 100, (0,)), Call(10, 10, (1, 2)))
    share, seconds = path_share(calls, [0, 1, 1, 2])
    assert share == pytest.approx([1.0, 1 - OFF_PATH / 2, OFF_PATH / 2, 1.0])
    assert seconds == pytest.approx(0.03 * 520 + 3 * 10 * 1e-4)
    workload = from_workflows([Workflow("w", 0.0, calls)] * 5, max_classes=4)
    (flow,) = workload.classes
    assert sum(call.repeat for call in flow.calls) == pytest.approx(3.0)
    assert sum(call.calls_per_workflow for call in flow.calls) == pytest.approx(4.0)
    assert flow.calls[0].after == ()
    for before, call in pairwise(flow.calls):
        assert call.after == (before.name,)


def test_stages_are_told_apart():
    workload = from_workflows(sample("text-to-sql", 100), max_classes=10)
    names = {call.name.rstrip("-0123456789") for call in workload.classes[0].calls}
    assert {"retrieve", "candidate", "revise", "evaluate"} <= names
    candidate = next(c for c in workload.classes[0].calls if c.name == "candidate")
    assert candidate.new_tokens == pytest.approx(11_000, rel=0.1)


def test_kinds_of_a_mix_stay_apart():
    workload = from_workflows(sample("agentic-mix", 90), max_classes=9)
    assert sorted(flow.name for flow in workload.classes) == ["chat", "tool-calling", "tree-search"]


def test_error_falls_with_the_number_of_classes():
    curve = error_curve(sample("coding-agent", 120), (1, 4, 16, 64))
    means = [error.mean for error in curve]
    assert means == sorted(means, reverse=True)
    assert means[-1] < 0.4 * means[0]
    assert abs(curve[2].prefill_work_bias) < 0.05


def test_equal_calls_are_described_without_error():
    flow = Workflow("w", 0.0, (Call(100, 10), Call(200, 20, (0,), 1.5, 0, 110)))
    found = summarise([flow] * 20, max_classes=4)
    error = found.error
    assert error.mean == pytest.approx(0.0, abs=1e-12)
    assert (error.prefill_work_bias, error.decode_work_bias) == pytest.approx((0, 0), abs=1e-12)
    assert error.path_seconds_bias == pytest.approx(0.0, abs=1e-12)
    first, second = found.workload.classes[0].calls
    assert (second.new_tokens, second.cached_tokens, second.tool_seconds) == (90.0, 110.0, 1.5)
    assert first.new_tokens_cv == second.new_tokens_cv == 0.0
    assert "1 workflow classes" in found.workload.approximation


@pytest.mark.parametrize(
    ("times", "rate", "per_second", "words"),
    [
        ([0, 0, 0], None, 1.0, "by default"),
        ([0, 1, 2, 3], None, 1.0, "from the arrival times"),
        ([5, 7, 9], None, 0.5, "from the arrival times"),
        ([0, 1, 2], 3.5, 3.5, "as given"),
    ],
)
def test_rate_comes_from_user_then_times_then_default(times, rate, per_second, words):
    flows = [Workflow("w", float(time), (Call(5, 5),)) for time in times]
    workload = from_workflows(flows, rate=rate)
    assert sum(flow.rate_per_s for flow in workload.classes) == pytest.approx(per_second)
    assert words in workload.approximation


def test_burstiness_is_that_of_the_gaps_for_single_calls():
    times = np.cumsum([0.0] + [0.1] * 9 + [10.0])
    flows = [Workflow("w", float(time), (Call(5, 5),)) for time in times]
    gaps = np.diff(times)
    expected = (1 + (gaps.std() / gaps.mean()) ** 2) / 2
    assert from_workflows(flows).burstiness == pytest.approx(expected)
    # Half of the calls start a workflow, the other half follow a parent.
    pairs = [Workflow("w", float(time), (Call(5, 5), Call(5, 5, (0,)))) for time in times]
    assert from_workflows(pairs).burstiness == pytest.approx(1 + (expected - 1) / 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_classes": 0}, "max_classes: is 0"),
        ({"workflow_classes": 0}, "workflow_classes: is 0"),
        ({"rate": 0.0}, "rate: is 0.0"),
        ({"rate": float("nan")}, "rate: is nan"),
    ],
)
def test_wrong_arguments_are_named(arguments, words):
    with pytest.raises(InputError, match=words):
        from_workflows([Workflow("w", 0.0, (Call(5, 5),))], **arguments)
    with pytest.raises(InputError, match="no workflows"):
        from_workflows([])


@given(
    values=st.lists(st.integers(0, 9), min_size=2, max_size=8),
    codes=st.lists(st.integers(0, 2), min_size=8, max_size=8),
)
@settings(deadline=None, derandomize=True, max_examples=200)
def test_a_split_is_the_best_there_is(values, codes):
    """The first split has the least sum of squares over all thresholds and codes."""
    x = np.array(values, dtype=float)
    code = np.array(codes[: len(x)])
    problem = Problem(x[:, None], code, (x**2)[:, None], np.ones(len(x)))
    groups = split(problem, [np.arange(len(x))], 2)

    def squares(parts):
        return sum(((x[part] ** 2 - (x[part] ** 2).mean()) ** 2).sum() for part in parts)

    cuts = [x <= cut for cut in np.unique(x)[:-1]] + [code == each for each in np.unique(code)]
    choices = [[np.arange(len(x))]]
    choices += [
        [np.flatnonzero(cut), np.flatnonzero(~cut)] for cut in cuts if 0 < cut.sum() < len(x)
    ]
    assert squares(groups) == pytest.approx(min(map(squares, choices)), abs=1e-6)


def test_real_traces_are_summarised_well(real_trace):
    limits = {
        "weka_claude_code.jsonl.gz": (0.42, 0.03),
        "azure_2023_conv.csv.gz": (0.10, 0.005),
        "azure_2023_code.csv.gz": (0.28, 0.01),
        "mooncake_conversation.jsonl.gz": (0.33, 0.01),
        "text2sql.json": (0.06, 0.005),
    }
    for name, (mean, bias) in limits.items():
        workflows = real_trace(name)[0].workflows
        found = summarise(workflows, rate=1.0)
        assert rates(found.workload) == pytest.approx(true_rates(workflows, 1.0), rel=1e-9)
        assert found.error.mean < mean
        assert abs(found.error.prefill_work_bias) < bias
        assert abs(found.error.decode_work_bias) < 0.01
        assert abs(found.error.path_seconds_bias) < 0.02


def test_table_keeps_one_token_to_compute():
    table = call_table([Workflow("w", 0.0, (Call(64, 1), Call(64, 1, (0,), 0.0, 0, 64)))])
    assert table.new.tolist() == [64.0, 1.0]
    assert table.cached.tolist() == [0.0, 63.0]
