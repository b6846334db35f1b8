"""The stored benchmark, as a table and as data."""

from collections import Counter
from typing import Any

from rich.console import Console

from hexsolve.cli.instance_list import add, table
from hexsolve.cli.screen import new_console, print_table
from hexsolve.instances.benchmark.io import benchmark_names, load_scheduling_instance
from hexsolve.models.scheduling import SchedulingInstance

ROLES = ("prefill", "decode", "mixed")


def benchmark_data() -> list[dict[str, Any]]:
    """Return a row per stored instance, as plain data; `cluster` is role → GPU type → instances."""
    return [_row(load_scheduling_instance(name)) for name in benchmark_names()]


def _row(instance: SchedulingInstance) -> dict[str, Any]:
    cluster = {
        role: dict(Counter(each.performance.gpu for each in engines))
        for role in ROLES
        if (engines := [each for each in instance.cluster.instances if each.role == role])
    }
    return {
        "name": instance.name,
        "shape": instance.shape,
        "cluster": cluster,
        "llm": instance.llm,
        "load": instance.load,
        "workflows": len(instance.workflows),
        "calls": instance.calls,
        "span_s": instance.span_s,
        "digest": instance.digest,
        "description": instance.description,
    }


def show_benchmark(rows: list[dict[str, Any]], console: Console | None = None) -> None:
    """Print the rows of `benchmark_data`."""
    made = table(
        "Benchmark (hexsolve optimum NAME, hexsolve simulate NAME; `benchmark: NAME` in a study)",
        ("Name", "Shape", "Cluster", "LLM", "Load"),
        ("workflows", "calls"),
    )
    for row in rows:
        cluster = "; ".join(
            f"{role} " + " + ".join(f"{count} {gpu}" for gpu, count in counts.items())
            for role, counts in row["cluster"].items()
        )
        add(
            made,
            *(row["name"], row["shape"], cluster, row["llm"], row["load"]),
            *(f"{row['workflows']:,}", f"{row['calls']:,}"),
        )
    print_table(console or new_console(), made)
