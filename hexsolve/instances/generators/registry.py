"""All shapes by name."""

from collections.abc import Mapping
from types import MappingProxyType

from hexsolve.instances.generators import (
    chat,
    coding_agent,
    deep_research,
    map_reduce,
    plan_execute,
    swe_agent,
    text_to_sql,
    tool_calling,
    tree_search,
)
from hexsolve.instances.generators.shape import Shape, mix

_SINGLE = (
    Shape(
        "chat",
        "ShareGPT-like chat chains: 6.7 calls of 256 new and 277 output tokens",
        "arXiv 2502.13965",
        chat.generate,
    ),
    Shape(
        "tool-calling",
        "BFCL-like ReAct chains: 10.8 calls of 735 new and 34 output tokens",
        "arXiv 2502.13965",
        tool_calling.generate,
    ),
    Shape(
        "tree-search",
        "LATS-like tree search: 160 calls in rounds of 5 parallel candidates",
        "arXiv 2502.13965, 2506.04301",
        tree_search.generate,
    ),
    Shape(
        "coding-agent",
        "coding sessions: dozens of calls on contexts of 100,000 tokens, 97 % prefix",
        "measured on callanjfox/kv-cache-tester",
        coding_agent.generate,
    ),
    Shape(
        "swe-agent",
        "SWE-bench agent: 10.9 turns, 70,000 tokens a program",
        "arXiv 2511.02230",
        swe_agent.generate,
    ),
    Shape(
        "text-to-sql",
        "text-to-SQL: 16 calls in stages with parallel candidates and evaluations",
        "measured on Relaxed-System-Lab/Text2SQL-Serving-System",
        text_to_sql.generate,
    ),
    Shape(
        "deep-research",
        "deep research: 33 calls, up to 12 parallel summarisers of web pages",
        "artifact of arXiv 2606.01725",
        deep_research.generate,
    ),
    Shape(
        "plan-execute",
        "plan, 2-5 tools in parallel, join: 2 calls",
        "arXiv 2312.04511",
        plan_execute.generate,
    ),
    Shape(
        "map-reduce",
        "parallel calls on 4-16 parts of a document, one on their answers",
        "assumed, no published figures",
        map_reduce.generate,
    ),
)

_BY_NAME = {shape.name: shape for shape in _SINGLE}

_MIXES = (
    mix("agentic-mix", [_BY_NAME[name] for name in ("chat", "tool-calling", "tree-search")]),
    mix("everything", _SINGLE),
)

SHAPES: Mapping[str, Shape] = MappingProxyType({shape.name: shape for shape in _SINGLE + _MIXES})
"""Shape name → shape; the mixes are equal parts by number of workflows."""
