"""Every trace that lies beside the project goes through the engine, from file to last token."""

from pathlib import Path

import numpy as np
import pytest

from hexsolve.instances.generators.arrivals import compose_arrivals, poisson
from hexsolve.instances.importers.registry import read_trace
from hexsolve.models.errors import InputError
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.record import RunRecord
from hexsolve.models.workflow import Workflow
from hexsolve.solver.online.predictors import make_predictor
from hexsolve.solver.online.registry import make_policy
from tests.simulation.engines import cluster, engine

# Workflows of each file that the quick test replays; None = all.
FILES: dict[str, int | None] = {
    "azure_2023_code.csv.gz": 2000,
    "azure_2023_conv.csv.gz": 2000,
    "mlperf_agentic_coding.jsonl.gz": None,
    "mooncake_conversation.jsonl.gz": 1000,
    "otel": None,
    "text2sql.json": None,
    "vllm_requests_RTX4090_Llama-3.1-8B.csv": None,
    "weka_claude_code.jsonl.gz": 100,
    "weka_raw": None,
}
CUT = [name for name, count in FILES.items() if count is not None]
# Workflows/s where a trace has no arrivals.
RATE = 0.2


def read(data_dir: Path, name: str) -> list[Workflow]:
    trace = read_trace(data_dir / "traces" / name)
    if trace.has_arrivals:
        return trace.workflows
    return compose_arrivals(trace.workflows, poisson(RATE), np.random.default_rng(0))


def need(workflow: Workflow) -> int:
    """The tokens of KV that the largest call of a workflow holds at its end."""
    return max(call.prompt_tokens + max(0, call.output_tokens - 1) for call in workflow.calls)


def holding(workflows: list[Workflow]) -> SimulatedCluster:
    """A cluster whose pools hold three of the largest calls."""
    capacity = 3 * max(need(workflow) for workflow in workflows)
    return cluster(
        prefills=3,
        decodes=3,
        performance=engine(capacity=capacity, bytes_per_token=131_072.0),
        instance_options={"nic_bandwidth": 50e9},
        transfer_latency_s=1e-4,
    )


def replay(workflows: list[Workflow]) -> tuple[Simulation, RunRecord]:
    simulation = Simulation(
        holding(workflows), workflows, make_policy("least-work"), make_predictor("noise-0.5", 0)
    )
    return simulation, simulation.run()


def assert_whole(simulation: Simulation, record: RunRecord) -> None:
    """Every call ran, in the order of its workflow, and generated what the trace says."""
    times, counts = record.times, record.counts
    assert record.done == simulation.total_calls == len(times["finished"])
    first = 0
    for number, workflow in enumerate(simulation.workflows):
        assert record.arrival[number] == pytest.approx(workflow.arrival_s, abs=1e-9)
        for index, call in enumerate(workflow.calls):
            row = first + index
            assert counts["output_tokens"][row] == call.output_tokens
            if not counts["preemptions"][row]:
                assert counts["cached"][row] + counts["computed"][row] == call.prompt_tokens
            begun = [times["finished"][first + parent] for parent in call.parents]
            ready = max(begun, default=record.arrival[number]) + call.tool_seconds
            assert times["revealed"][row] == pytest.approx(ready, abs=1e-6)
            assert times["finished"][row] >= times["prefill_start"][row] >= ready - 1e-6
        ends = times["finished"][first : first + len(workflow.calls)]
        assert record.finish[number] == max(ends)
        first += len(workflow.calls)
    assert all(instance.pool.pinned == 0 for instance in simulation.instances)


@pytest.mark.parametrize("name", FILES)
def test_every_trace_replays(data_dir, name):
    simulation, record = replay(read(data_dir, name)[: FILES[name]])
    assert_whole(simulation, record)
    if name.startswith("weka"):
        # Coding agents resend what they said before: most of it must be found.
        assert sum(record.counts["cached"]) > sum(record.counts["computed"])


@pytest.mark.slow
@pytest.mark.parametrize("name", CUT)
def test_whole_traces_replay(data_dir, name):
    assert_whole(*replay(read(data_dir, name)))


def test_no_trace_is_forgotten(data_dir):
    assert sorted(path.name for path in (data_dir / "traces").iterdir()) == sorted(FILES)


@pytest.mark.parametrize("name", [name for name in FILES if name not in CUT])
def test_a_call_that_no_pool_holds_is_named_before_the_run(data_dir, name):
    """The largest call of a trace against pools one token too small for it."""
    workflows = read(data_dir, name)
    largest = max(need(workflow) for workflow in workflows)
    tight = cluster(performance=engine(capacity=largest - 1))
    with pytest.raises(InputError) as refused:
        Simulation(tight, workflows, make_policy("round-robin"), make_predictor("oracle", 0))
    ordered = sorted(workflows, key=lambda each: each.arrival_s)
    named = next(workflow for workflow in ordered if need(workflow) == largest)
    assert f"workflow {named.name!r}.calls[" in str(refused.value)
    assert f"at most {largest - 1} tokens" in str(refused.value)
    exact = cluster(performance=engine(capacity=largest))
    Simulation(exact, workflows, make_policy("round-robin"), make_predictor("oracle", 0))
