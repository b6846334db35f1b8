"""SWE-bench agent: a dozen turns of a shell agent on one growing context.

Figures (Continuum, arXiv 2511.02230): 10.9 ± 2.1 turns, 70,000 tokens a program, tools
0.93 ± 3.6 s. Assumed: the 70,000 are the prompt and output tokens of all turns added up, as token
counters do (as a final context they would be 6,400 new tokens a turn); turns are normal, rounded;
first prompt 2,500 tokens (task and instructions), answers 150, both lognormal; tool times are
gamma. New tokens per turn follow from the total: with T turns, first prompt f, answers o and
n new tokens a turn, Σ (prompt + output) = T·(f + o) + (o + n)·T(T − 1)/2, so n ≈ 590 at the
means; E[T²] = 10.9² + 2.1² is used.
"""

from numpy.random import Generator

from hexsolve.instances.generators.draws import (
    gamma_seconds,
    lognormal_tokens,
    normal_integers,
)
from hexsolve.instances.generators.thread import WorkflowBuilder
from hexsolve.models.workflow import Workflow

TURNS = (10.9, 2.1)
PROGRAM_TOKENS = 70_000.0
TOOL_SECONDS = (0.93, 3.6)
FIRST_TOKENS = 2500.0
OUTPUT_TOKENS = 150.0

_PAIRS = (TURNS[0] ** 2 + TURNS[1] ** 2 - TURNS[0]) / 2
NEW_TOKENS = (PROGRAM_TOKENS - TURNS[0] * (FIRST_TOKENS + OUTPUT_TOKENS)) / _PAIRS - OUTPUT_TOKENS


def generate(count: int, rng: Generator) -> list[Workflow]:
    """Return `count` programs."""
    return [_program(number, rng) for number in range(count)]


def _program(number: int, rng: Generator) -> Workflow:
    turns = int(normal_integers(rng, *TURNS, 1)[0])
    first = lognormal_tokens(rng, FIRST_TOKENS, 0.3, 1)
    new = lognormal_tokens(rng, NEW_TOKENS, 1.0, turns)
    output = lognormal_tokens(rng, OUTPUT_TOKENS, 0.7, turns)
    tool = gamma_seconds(rng, *TOOL_SECONDS, turns)
    flow = WorkflowBuilder()
    last = flow.add("start", int(first[0]), output[0])
    for turn in range(1, turns):
        last = flow.add(
            "turn",
            new[turn],
            output[turn],
            parents=(last,),
            tool_seconds=tool[turn],
            continues=last,
        )
    return flow.workflow("swe-agent", number)
