"""ShareGPT-like chat: a chain of turns on one growing context.

Figures (Autellix, arXiv 2502.13965): 6.66 calls a program, 256 prefill and 277 decode tokens a
call. Assumed: prefill tokens are those beyond the conversation so far (an average full prompt
of 256 tokens would be shorter than the 277-token answers before it); the number of turns is
geometric; token counts are lognormal with σ = 1; no thinking time (none is published).
"""

from numpy.random import Generator

from hexsolve.instances.generators.draws import lognormal_tokens
from hexsolve.instances.generators.thread import WorkflowBuilder
from hexsolve.models.workflow import Workflow

MEAN_CALLS = 6.66
NEW_TOKENS = 256.0
OUTPUT_TOKENS = 277.0
SIGMA = 1.0


def generate(count: int, rng: Generator) -> list[Workflow]:
    """Return `count` conversations."""
    return [_conversation(number, rng) for number in range(count)]


def _conversation(number: int, rng: Generator) -> Workflow:
    turns = int(rng.geometric(1 / MEAN_CALLS))
    new = lognormal_tokens(rng, NEW_TOKENS, SIGMA, turns)
    output = lognormal_tokens(rng, OUTPUT_TOKENS, SIGMA, turns)
    flow = WorkflowBuilder()
    last = -1
    for turn in range(turns):
        last = flow.add(
            "turn" if turn else "start",
            new[turn],
            output[turn],
            parents=(last,) if turn else (),
            continues=last,
        )
    return flow.workflow("chat", number)
