"""The 16 settings: two LLMs, two clusters, four workloads, under pressure.

The paper (arXiv 2605.16637) does not state the GPUs per instance nor its exact loads. Instances
have as few GPUs as hold the model, or more where the baseline would break down; where the paper's
rate leaves the cluster without pressure, rate and count are raised. `PAPER` is what it states.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from hexsolve.instances.catalog import load_catalog
from hexsolve.instances.generators.arrivals import compose_arrivals, poisson
from hexsolve.instances.generators.registry import SHAPES
from hexsolve.instances.importers.registry import read_trace
from hexsolve.instances.performance import engine_performance
from hexsolve.models.simulation.cluster import SimulatedCluster, SimulatedInstance
from hexsolve.models.workflow import Workflow

PAPER = {
    "chat": (100, 10.0),
    "tool-calling": (400, 40.0),
    "tree-search": (100, 40.0),
    "agentic-mix": (100, 10.0),
}
# Instances per role.
HETERO = {
    "hetero-1": {"a100-80": 2, "h100": 3, "h200": 3},
    "hetero-2": {"a100-80": 3, "h100": 4, "h200": 3},
}
# (LLM, workload) → GPUs per instance, workflows, workflows/s.
SIZES = {
    ("llama-3.1-70b", "chat"): (2, 400, 40.0),
    ("llama-3.1-70b", "tool-calling"): (4, 400, 40.0),
    ("llama-3.1-70b", "tree-search"): (2, 100, 40.0),
    ("llama-3.1-70b", "agentic-mix"): (2, 100, 10.0),
    ("qwen3-235b-a22b", "chat"): (8, 200, 20.0),
    ("qwen3-235b-a22b", "tool-calling"): (8, 400, 80.0),
    ("qwen3-235b-a22b", "tree-search"): (8, 100, 40.0),
    ("qwen3-235b-a22b", "agentic-mix"): (8, 200, 20.0),
}
# Real traces: workload → file under HEXSOLVE_DATA; their arrivals are composed.
TRACES = {
    "text-to-sql-trace": "traces/text2sql.json",
    "coding-agent-trace": "traces/weka_claude_code.jsonl.gz",
}
SIZES |= {
    ("llama-3.1-70b", "text-to-sql-trace"): (2, 50, 10.0),
    ("llama-3.1-70b", "coding-agent-trace"): (4, 60, 5.0),
}
TRANSFER_LATENCY_S = 0.005
DATA = Path(os.environ.get("HEXSOLVE_DATA", Path(__file__).resolve().parents[3] / "shared/data"))


@dataclass(frozen=True, order=True)
class Setting:
    """One row of the tables."""

    llm: str
    cluster: str
    workload: str

    @property
    def name(self) -> str:
        """LLM/cluster/workload."""
        return f"{self.llm}/{self.cluster}/{self.workload}"

    @property
    def sizes(self) -> tuple[int, int, float]:
        """GPUs per instance, workflows, workflows/s."""
        return SIZES[self.llm, self.workload]

    def build(self) -> SimulatedCluster:
        """Return the cluster."""
        catalog = load_catalog()
        tp = self.sizes[0]
        instances = []
        for role in ("prefill", "decode"):
            for name, count in HETERO[self.cluster].items():
                gpu = catalog.gpus[name]
                performance = engine_performance(catalog, catalog.llms[self.llm], gpu, tp)
                assert performance is not None
                instances += [
                    SimulatedInstance(
                        name=f"{role}-{name}-{number}",
                        role=role,
                        performance=performance,
                        nic_bandwidth=gpu.nic_bandwidth * tp,
                    )
                    for number in range(count)
                ]
        return SimulatedCluster(instances=tuple(instances), transfer_latency_s=TRANSFER_LATENCY_S)

    def workflows(self, seed: int, quick: bool = False) -> list[Workflow]:
        """Return the workflows of a seed; a quarter of them if `quick`, at the same rate."""
        _, count, rate = self.sizes
        rng = np.random.default_rng(seed)
        count = count // 4 if quick else count
        if self.workload in TRACES:
            whole = _trace(TRACES[self.workload])
            drawn = [whole[k] for k in sorted(rng.choice(len(whole), count, replace=False))]
        else:
            drawn = list(SHAPES[self.workload].generate(count, rng))
        return compose_arrivals(drawn, poisson(rate), rng)


@cache
def _trace(path: str) -> Sequence[Workflow]:
    return read_trace(DATA / path).workflows


SETTINGS = [
    Setting(llm, cluster, workload)
    for llm in ("llama-3.1-70b", "qwen3-235b-a22b")
    for cluster in HETERO
    for workload in PAPER
]

TRACE_SETTINGS = [
    Setting("llama-3.1-70b", cluster, workload) for cluster in HETERO for workload in TRACES
]
"""Only where the traces are there."""
