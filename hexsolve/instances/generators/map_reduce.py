"""Map-reduce over a long document: parallel calls on its parts, one call on their answers.

No figures are published for this shape. Assumed: 4–16 parts (uniform) of 2,000 tokens with
200-token answers, an instruction of 200 tokens that all parts share, and a reduce call on all
answers with a 400-token result; lognormal, σ = 0.3.
"""

from numpy.random import Generator

from hexsolve.instances.generators.draws import lognormal_tokens
from hexsolve.instances.generators.thread import WorkflowBuilder
from hexsolve.models.workflow import Workflow

PARTS = (4, 16)
PART_TOKENS = 2000.0
ANSWER_TOKENS = 200.0
RESULT_TOKENS = 400.0
INSTRUCTION = 200
SIGMA = 0.3


def generate(count: int, rng: Generator) -> list[Workflow]:
    """Return `count` documents."""
    return [_document(number, rng) for number in range(count)]


def _document(number: int, rng: Generator) -> Workflow:
    parts = int(rng.integers(PARTS[0], PARTS[1], endpoint=True))
    new = lognormal_tokens(rng, PART_TOKENS, SIGMA, parts)
    output = lognormal_tokens(rng, ANSWER_TOKENS, SIGMA, parts)
    flow = WorkflowBuilder()
    maps = [flow.add("map", INSTRUCTION + int(new[0]), output[0])]
    maps += [
        flow.add("map", new[part], output[part], continues=maps[0], shared=INSTRUCTION)
        for part in range(1, parts)
    ]
    result = lognormal_tokens(rng, RESULT_TOKENS, SIGMA, 1)[0]
    flow.add("reduce", INSTRUCTION + int(output.sum()), result, parents=tuple(maps))
    return flow.workflow("map-reduce", number)
