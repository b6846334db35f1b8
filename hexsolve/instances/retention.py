"""Pauses in real sessions that are longer than any engine keeps a prefix."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hexsolve.instances.generators.arrivals import cap_tool_seconds
from hexsolve.models.workflow import Call, Workflow

DEFAULT_RETENTION_S = 300.0
"""Five minutes, the default lifetime of a public prompt cache
(https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching). It is also about where memory
and compute cost the same: 100,000 tokens of a 70B model (bf16) fill 40 % of an 80 GB GPU, and
computing them anew is 2.7e16 FLOP: 45 s of an H100, 145 s of an A100 at 60 % of their peaks, so
that keeping pays up to about 110…360 s."""


@dataclass(frozen=True, slots=True)
class Retained:
    """Workflows whose prefixes are kept for a limited time.

    Attributes
    ----------
    workflows : list of Workflow
        With pauses of at most the retention.
    pauses : int
        Calls after a longer pause.
    forgotten_tokens : int
        Cached prompt tokens of those calls, which are new tokens now.
    cached_tokens : int
        Cached prompt tokens of all calls before.
    """

    workflows: list[Workflow]
    pauses: int
    forgotten_tokens: int
    cached_tokens: int

    def text(self, retention: float) -> str:
        """Return one sentence for a report; empty where nothing changed."""
        if not self.pauses:
            return ""
        share = self.forgotten_tokens / max(self.cached_tokens, 1)
        return (
            f"prefixes are kept {retention:g} s: {self.pauses:,} calls come after a longer pause "
            f"and compute their prompt anew ({share:.1%} of the cached tokens); their pauses count "
            f"as {retention:g} s"
        )


def keep_prefixes(workflows: Sequence[Workflow], retention: float) -> Retained:
    """Return what workflows look like when a prefix is kept `retention` seconds after its use.

    A call whose pause is longer finds its session's prefix evicted: its whole prompt is new. The
    pause is cut to `retention`, so that hours in which the user sleeps neither occupy memory nor
    hide latency in the length of the workflow. Prefixes shared across workflows (system prompts)
    stay, as others use them meanwhile.

    Raises
    ------
    InputError
        `retention` is negative or not finite.
    """
    capped = cap_tool_seconds(workflows, retention)
    pauses = forgotten = cached = 0
    kept: list[Workflow] = []
    for before, after in zip(workflows, capped, strict=True):
        calls: list[Call] = []
        for original, call in zip(before.calls, after.calls, strict=True):
            cached += call.prefix_tokens
            if original.tool_seconds > retention:
                pauses += 1
                if call.prefix_call >= 0:
                    forgotten += call.prefix_tokens
                    call = replace(call, prefix_call=-1, prefix_tokens=0)
            calls.append(call)
        kept.append(replace(after, calls=tuple(calls)))
    return Retained(kept, pauses, forgotten, cached)
