"""What an instance can name, as tables and as data."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hexsolve.cli.screen import new_console, print_table
from hexsolve.instances.catalog import load_catalog
from hexsolve.instances.generators import SHAPES
from hexsolve.instances.workflow_catalog import load_workflow_classes

GB = 1e9


def catalog_data() -> dict[str, Any]:
    """Return everything that can be named, as plain data."""
    catalog = load_catalog()
    return {
        "shapes": [
            {"name": shape.name, "description": shape.description, "source": shape.source}
            for shape in SHAPES.values()
        ],
        "workflow_classes": [
            workflow.model_dump(mode="json") for workflow in load_workflow_classes().values()
        ],
        "llms": [
            llm.model_dump(mode="json")
            | {"parameters": llm.parameters, "kv_bytes_per_token": llm.kv_bytes_per_token}
            for llm in catalog.llms.values()
        ],
        "gpus": [gpu.model_dump(mode="json") for gpu in catalog.gpus.values()],
        "clusters": [
            cluster.model_dump(mode="json") | {"gpus": cluster.gpus}
            for cluster in catalog.clusters.values()
        ],
    }


def show_catalog(console: Console | None = None) -> None:
    """Print everything that can be named."""
    console = console or new_console()
    for table in (_shapes(), _workflows(), _llms(), _gpus(), _clusters()):
        print_table(console, table)


def table(title: str, left: tuple[str, ...], right: tuple[str, ...] = ()) -> Table:
    """Return an empty table; columns `right` hold numbers."""
    made = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    for number, name in enumerate(left):
        # The first column holds the names that one types.
        made.add_column(name, no_wrap=number == 0)
    for name in right:
        made.add_column(name, justify="right", no_wrap=True)
    return made


def add(made: Table, *cells: str) -> None:
    """Add a row; names may hold what rich would take for markup."""
    made.add_row(*[Text(cell) for cell in cells])


def _shapes() -> Table:
    made = table("Shapes (hexsolve instance generate SHAPE)", ("Shape", "What", "Source"))
    for shape in SHAPES.values():
        add(made, shape.name, shape.description, shape.source)
    return made


def _workflows() -> Table:
    made = table(
        "Workflow classes (workload.classes: {use: NAME, rate_per_s: …})",
        ("Class",),
        ("calls", "new tokens", "cached", "output"),
    )
    for workflow in load_workflow_classes().values():
        calls = sum(call.calls_per_workflow for call in workflow.calls)
        per_call = [
            sum(getattr(call, field) * call.calls_per_workflow for call in workflow.calls) / calls
            for field in ("new_tokens", "cached_tokens", "output_tokens")
        ]
        add(made, workflow.name, f"{calls:.1f}", *[f"{value:,.0f}" for value in per_call])
    made.caption = "tokens are means per call"
    return made


def _llms() -> Table:
    made = table(
        "LLMs (llm)", ("LLM",), ("10⁹ weights", "active", "dtype", "KV kB/token", "context")
    )
    for llm in load_catalog().llms.values():
        add(
            made,
            llm.name,
            f"{llm.parameters / 1e9:.1f}",
            f"{llm.active_parameters / 1e9:.1f}",
            llm.weight_dtype,
            f"{llm.kv_bytes_per_token / 1e3:.0f}",
            f"{llm.context_limit:,}",
        )
    return made


def _gpus() -> Table:
    made = table("GPU types (cluster.pools: gpu)", ("GPU",), ("GiB", "TB/s", "TFLOP/s", "US$/h"))
    made.add_column("of")
    made.add_column("Price from")
    for gpu in load_catalog().gpus.values():
        add(
            made,
            gpu.name,
            f"{gpu.memory_gib:g}",
            f"{gpu.memory_bandwidth_gb_s / 1e3:.2f}",
            f"{gpu.bf16_tflops:,.0f}",
            f"{gpu.price_per_hour:.2f}",
            "" if gpu.as_of is None else gpu.as_of.isoformat(),
            gpu.price_source,
        )
    return made


def _clusters() -> Table:
    made = table("Clusters (cluster)", ("Cluster", "Nodes × GPUs", "What"), ("GPUs",))
    for cluster in load_catalog().clusters.values():
        pools = ", ".join(f"{p.nodes:,} × {p.gpus_per_node} {p.gpu}" for p in cluster.pools)
        add(made, cluster.name, pools, cluster.description, f"{cluster.gpus:,}")
    return made
