"""Text-to-SQL agent (CHESS-style): retrieval, candidates, revision, tests, evaluation.

Figures (measured on the 50 queries of Relaxed-System-Lab/Text2SQL-Serving-System and traces in
its style): retrieve 4 × 306 prompt / 5 output tokens, keywords 660/38, candidates 2 × 10,000 to
12,000 / 550 in parallel, revisions 0–10 × 6,000 to 8,000 / 100, unit tests 3 × 275/4 and one of
1,000/88, evaluate 5 × 900/22 in parallel; about 16 calls.

Assumed: token counts are normal around these means with 10 % deviation (40 % for outputs above
20); as in the trace, keywords are asked for in 68 % of queries and revisions are geometric with
mean 1.5, at most 10; no prefixes are shared and no tool takes time, since neither is published.
"""

import numpy as np
from numpy.random import Generator

from hexsolve.instances.generators.draws import normal_integers
from hexsolve.instances.generators.thread import WorkflowBuilder
from hexsolve.models.workflow import Workflow

RETRIEVE = (306.0, 5.0)
KEYWORDS = (660.0, 38.0)
CANDIDATE = (11_000.0, 550.0)
REVISE = (7_000.0, 100.0)
UNIT_TEST = (275.0, 4.0)
WRITE_TEST = (1000.0, 88.0)
EVALUATE = (900.0, 22.0)
KEYWORD_SHARE = 0.68
MEAN_REVISIONS = 1.5
MOST_REVISIONS = 10


class _Query:
    """One query's stages, each after the one before."""

    def __init__(self, rng: Generator):
        self.rng = rng
        self.flow = WorkflowBuilder()
        self.ready: tuple[int, ...] = ()

    def stage(self, name: str, tokens: tuple[float, float], parallel: int = 1) -> None:
        """Append a stage of parallel calls."""
        prompt = normal_integers(self.rng, tokens[0], 0.1 * tokens[0], parallel)
        spread = 0.4 if tokens[1] > 20 else 0.1
        output = normal_integers(self.rng, tokens[1], spread * tokens[1], parallel)
        self.ready = tuple(
            self.flow.add(name, prompt[k], output[k], parents=self.ready) for k in range(parallel)
        )


def generate(count: int, rng: Generator) -> list[Workflow]:
    """Return `count` queries."""
    return [_query(number, rng) for number in range(count)]


def _query(number: int, rng: Generator) -> Workflow:
    query = _Query(rng)
    query.stage("retrieve", RETRIEVE)
    if rng.random() < KEYWORD_SHARE:
        query.stage("keywords", KEYWORDS)
    for _ in range(3):
        query.stage("retrieve", RETRIEVE)
    query.stage("candidate", CANDIDATE, parallel=2)
    # geometric counts from 1, revisions from 0
    revisions = int(rng.geometric(1 / (1 + MEAN_REVISIONS))) - 1
    for _ in range(int(np.minimum(revisions, MOST_REVISIONS))):
        query.stage("revise", REVISE)
    query.stage("unit-test", UNIT_TEST)
    query.stage("write-test", WRITE_TEST)
    query.stage("unit-test", UNIT_TEST)
    query.stage("evaluate", EVALUATE, parallel=5)
    query.stage("unit-test", UNIT_TEST)
    return query.flow.workflow("text-to-sql", number)
