"""What the benchmark holds: clusters, shapes, sizes and loads of its instances."""

from typing import NamedTuple

TRANSFER_LATENCY_S = 0.005

CLUSTERS: dict[str, dict[str, dict[str, int]]] = {
    "1p1d": {"prefill": {"h100": 1}, "decode": {"h100": 1}},
    "2p2d": {"prefill": {"a100-80": 1, "h100": 1}, "decode": {"a100-80": 1, "h200": 1}},
    "mixed-4": {"prefill": {"h100": 1}, "decode": {"h200": 1}, "mixed": {"a100-80": 2}},
    # arXiv 2605.16637; GPUs per instance are not stated there.
    "hetero-1": {
        "prefill": {"a100-80": 2, "h100": 3, "h200": 3},
        "decode": {"a100-80": 2, "h100": 3, "h200": 3},
    },
    "hetero-2": {
        "prefill": {"a100-80": 3, "h100": 4, "h200": 3},
        "decode": {"a100-80": 3, "h100": 4, "h200": 3},
    },
}
"""Name → role → GPU type → instances."""

LLMS = {
    "8b": ("llama-3.1-8b", 1),
    "70b": ("llama-3.1-70b", 4),
    "235b": ("qwen3-235b-a22b", 8),
}
"""Name → (catalog name, GPUs per instance)."""

BANDS = {"xs": 50, "s": 130, "m": 600, "l": 10_000}
"""Size band → most calls."""


class Spec(NamedTuple):
    """One instance of the benchmark.

    Attributes
    ----------
    band : str
        Key of `BANDS`.
    number : int
        Within the band; also the seed, with the band.
    shape : str
        A generator.
    cluster, llm : str
        Keys of `CLUSTERS` and `LLMS`.
    load : str
        What the rate amounts to: calm, busy or overload.
    workflows : int
    rate : float
        Workflows per second, Poisson.
    slots : int
        Most calls in a batch of an instance (``max_batch``): few workflows press a cluster only
        if it is small, and no engine is smaller than its GPUs.
    most_calls : int
        A workflow is cut after so many calls (of the topological order, so that it remains a
        sound one): a search or session that ends early. 0 = none is cut.
    """

    band: str
    number: int
    shape: str
    cluster: str
    llm: str
    load: str
    workflows: int
    rate: float
    slots: int
    most_calls: int = 0

    @property
    def name(self) -> str:
        """Name of the instance and its file."""
        parts = (f"{self.band}{self.number:02d}", self.shape, self.cluster, self.llm, self.load)
        return "-".join(parts)


SPECS: tuple[Spec, ...] = (
    Spec("xs", 1, "chat", "1p1d", "8b", "calm", 6, 1.2, 4),
    Spec("xs", 2, "chat", "1p1d", "8b", "busy", 8, 3.4, 3),
    Spec("xs", 3, "chat", "2p2d", "70b", "overload", 8, 0.16, 2),
    Spec("xs", 4, "chat", "2p2d", "70b", "busy", 6, 0.25, 2),
    Spec("xs", 5, "tool-calling", "1p1d", "8b", "overload", 5, 100, 1, 9),
    Spec("xs", 6, "tool-calling", "2p2d", "70b", "calm", 5, 2, 3, 10),
    Spec("xs", 7, "tool-calling", "2p2d", "70b", "overload", 6, 100, 1, 8),
    Spec("xs", 8, "plan-execute", "1p1d", "8b", "overload", 20, 55, 4),
    Spec("xs", 9, "plan-execute", "2p2d", "70b", "busy", 24, 5.2, 8),
    Spec("xs", 10, "plan-execute", "1p1d", "235b", "overload", 16, 39, 4),
    Spec("xs", 11, "map-reduce", "1p1d", "8b", "busy", 5, 1.1, 8),
    Spec("xs", 12, "map-reduce", "2p2d", "70b", "overload", 5, 0.47, 3),
    Spec("xs", 13, "text-to-sql", "2p2d", "70b", "busy", 5, 0.68, 4, 10),
    Spec("xs", 14, "text-to-sql", "1p1d", "8b", "overload", 5, 2.7, 2, 10),
    Spec("xs", 15, "tree-search", "1p1d", "8b", "overload", 5, 7.6, 4, 10),
    Spec("xs", 16, "tree-search", "2p2d", "70b", "busy", 5, 0.65, 4, 10),
    Spec("xs", 17, "deep-research", "1p1d", "70b", "calm", 5, 0.13, 1, 10),
    Spec("xs", 18, "coding-agent", "1p1d", "70b", "calm", 5, 0.0032, 1, 10),
    Spec("xs", 19, "coding-agent", "2p2d", "235b", "calm", 5, 100, 1, 8),
    Spec("xs", 20, "agentic-mix", "mixed-4", "70b", "busy", 6, 14, 4, 8),
    Spec("xs", 21, "chat", "mixed-4", "8b", "overload", 7, 0.1, 1),
    Spec("xs", 22, "agentic-mix", "hetero-1", "70b", "busy", 6, 4, 1, 8),
    Spec("xs", 23, "tool-calling", "hetero-2", "235b", "calm", 5, 100, 1, 10),
    Spec("s", 1, "chat", "1p1d", "8b", "overload", 18, 100, 4),
    Spec("s", 2, "chat", "2p2d", "70b", "busy", 18, 5, 8),
    Spec("s", 3, "chat", "hetero-1", "70b", "overload", 20, 1.7, 1),
    Spec("s", 4, "tool-calling", "1p1d", "8b", "busy", 11, 1.6, 2),
    Spec("s", 5, "tool-calling", "2p2d", "70b", "overload", 12, 0.16, 1),
    Spec("s", 6, "plan-execute", "1p1d", "8b", "overload", 60, 100, 16),
    Spec("s", 7, "plan-execute", "2p2d", "235b", "overload", 64, 23, 16),
    Spec("s", 8, "map-reduce", "2p2d", "70b", "overload", 11, 1.3, 8),
    Spec("s", 9, "text-to-sql", "1p1d", "8b", "busy", 7, 9.5, 256),
    Spec("s", 10, "text-to-sql", "2p2d", "70b", "overload", 7, 46, 3),
    Spec("s", 11, "tree-search", "2p2d", "70b", "overload", 6, 0.24, 4, 21),
    Spec("s", 12, "deep-research", "2p2d", "70b", "busy", 6, 0.037, 1, 20),
    Spec("s", 13, "coding-agent", "1p1d", "70b", "busy", 6, 100, 1, 20),
    Spec("s", 14, "coding-agent", "2p2d", "235b", "calm", 6, 100, 1, 20),
    Spec("s", 15, "agentic-mix", "2p2d", "70b", "busy", 14, 18, 16, 9),
    Spec("s", 16, "agentic-mix", "mixed-4", "70b", "overload", 14, 0.51, 4, 9),
    Spec("s", 17, "tool-calling", "hetero-2", "235b", "calm", 11, 100, 1),
    Spec("m", 1, "chat", "2p2d", "70b", "overload", 90, 1.7, 16),
    Spec("m", 2, "chat", "hetero-1", "70b", "busy", 90, 1.7, 8),
    Spec("m", 3, "tool-calling", "2p2d", "70b", "overload", 52, 13, 8),
    Spec("m", 4, "tool-calling", "hetero-1", "70b", "busy", 52, 4.9, 4),
    Spec("m", 5, "map-reduce", "2p2d", "70b", "overload", 48, 1.6, 256),
    Spec("m", 6, "text-to-sql", "hetero-1", "70b", "overload", 32, 1.6, 4),
    Spec("m", 7, "tree-search", "2p2d", "70b", "busy", 5, 0.57, 8, 110),
    Spec("m", 8, "deep-research", "hetero-2", "235b", "calm", 16, 100, 1),
    Spec("m", 9, "coding-agent", "2p2d", "70b", "overload", 14, 100, 1, 40),
    Spec("m", 10, "agentic-mix", "mixed-4", "70b", "overload", 20, 0.9, 8, 28),
    Spec("m", 11, "plan-execute", "2p2d", "8b", "overload", 270, 36, 256),
    Spec("l", 1, "chat", "hetero-1", "70b", "overload", 400, 3.5, 16),
    Spec("l", 2, "chat", "hetero-2", "235b", "busy", 400, 3.5, 256),
    Spec("l", 3, "chat", "2p2d", "8b", "overload", 300, 7.4, 64),
    Spec("l", 4, "tool-calling", "hetero-1", "70b", "overload", 400, 16, 256),
    Spec("l", 5, "tool-calling", "hetero-2", "235b", "overload", 400, 33, 8),
    Spec("l", 6, "tool-calling", "hetero-1", "235b", "busy", 300, 22, 256),
    Spec("l", 7, "text-to-sql", "hetero-1", "70b", "overload", 100, 1.8, 8),
    Spec("l", 8, "text-to-sql", "hetero-2", "70b", "busy", 150, 3.5, 256),
    Spec("l", 9, "tree-search", "hetero-1", "70b", "overload", 20, 100, 8),
    Spec("l", 10, "tree-search", "hetero-2", "235b", "busy", 30, 1.2, 256),
    Spec("l", 11, "deep-research", "2p2d", "70b", "overload", 60, 0.55, 64),
    Spec("l", 12, "deep-research", "hetero-2", "235b", "calm", 80, 100, 8),
    Spec("l", 13, "map-reduce", "hetero-1", "70b", "overload", 200, 8.2, 256),
    Spec("l", 14, "plan-execute", "hetero-1", "70b", "overload", 400, 100, 256),
    Spec("l", 15, "coding-agent", "2p2d", "70b", "busy", 40, 0.019, 64),
    Spec("l", 16, "coding-agent", "hetero-1", "235b", "calm", 40, 100, 8),
    Spec("l", 17, "agentic-mix", "hetero-1", "70b", "overload", 60, 3.5, 8),
    Spec("l", 18, "agentic-mix", "hetero-2", "235b", "busy", 80, 2.8, 256),
    Spec("l", 19, "agentic-mix", "mixed-4", "70b", "calm", 40, 0.21, 256),
    Spec("l", 20, "chat", "hetero-1", "70b", "calm", 200, 5.9, 256),
)
