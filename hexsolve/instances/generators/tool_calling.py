"""BFCL-like tool calling: a ReAct chain of short answers and tool results.

Figures (Autellix, arXiv 2502.13965): 10.75 calls a program, 735 prefill and 34 decode tokens a
call. Assumed: prefill tokens are those beyond the context so far (tool descriptions in the first
call, results later); the number of calls is 2 + Poisson(8.75), since a tool needs a call before
and after; token counts are lognormal, σ = 0.8 for prompts and 0.6 for the short answers; the
simulated tools take 0.3 s, exponential (not published).
"""

from numpy.random import Generator

from hexsolve.instances.generators.draws import lognormal_tokens
from hexsolve.instances.generators.thread import WorkflowBuilder
from hexsolve.models.workflow import Workflow

MEAN_CALLS = 10.75
NEW_TOKENS = 735.0
OUTPUT_TOKENS = 34.0
TOOL_SECONDS = 0.3


def generate(count: int, rng: Generator) -> list[Workflow]:
    """Return `count` tool-calling programs."""
    return [_program(number, rng) for number in range(count)]


def _program(number: int, rng: Generator) -> Workflow:
    calls = 2 + int(rng.poisson(MEAN_CALLS - 2))
    new = lognormal_tokens(rng, NEW_TOKENS, 0.8, calls)
    output = lognormal_tokens(rng, OUTPUT_TOKENS, 0.6, calls)
    tool = rng.exponential(TOOL_SECONDS, calls)
    flow = WorkflowBuilder()
    last = -1
    for index in range(calls):
        last = flow.add(
            "turn" if index else "start",
            new[index],
            output[index],
            parents=(last,) if index else (),
            tool_seconds=tool[index] if index else 0.0,
            continues=last,
        )
    return flow.workflow("tool-calling", number)
