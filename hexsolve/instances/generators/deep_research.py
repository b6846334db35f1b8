"""Deep research: rounds of a main model that searches and parallel summarisers of web pages.

Figures (artifact of arXiv 2606.01725): 33 calls; main calls 4,800 prompt / 324 output tokens;
up to 12 parallel summarisers of 7,800/93; fetching a page 15 ± 10 s, a search 0.3 s.

Assumed: a round is one main call, then k summarisers with k uniform in 1…12 (mean 6.5), each of
which waits for the search and its page; a last main call writes the report. Rounds are 1 +
Poisson, so that calls average 33: (33 − 1)/(1 + 6.5) ≈ 4.27 rounds. Main calls share the first
1,500 tokens (instructions, question); summarisers share their 300-token instruction with the
first one of the workflow. Token counts are lognormal, σ = 0.3 (main) and 0.5 (pages).
"""

from numpy.random import Generator

from hexsolve.instances.generators.draws import gamma_seconds, lognormal_tokens
from hexsolve.instances.generators.thread import WorkflowBuilder
from hexsolve.models.workflow import Workflow

MEAN_CALLS = 33.0
MAIN = (4800.0, 324.0)
SUMMARY = (7800.0, 93.0)
MOST_PARALLEL = 12
WEB_SECONDS = (15.0, 10.0)
SEARCH_SECONDS = 0.3
MAIN_SHARED = 1500
SUMMARY_SHARED = 300

_MEAN_ROUNDS = (MEAN_CALLS - 1) / (1 + (1 + MOST_PARALLEL) / 2)


def generate(count: int, rng: Generator) -> list[Workflow]:
    """Return `count` research tasks."""
    return [_task(number, rng) for number in range(count)]


def _task(number: int, rng: Generator) -> Workflow:
    flow = WorkflowBuilder()
    ready: tuple[int, ...] = ()
    first_main = first_summary = -1
    rounds = 1 + int(rng.poisson(_MEAN_ROUNDS - 1))
    for _ in range(rounds):
        main = _call(flow, rng, "main", MAIN, 0.3, ready, 0.0, first_main, MAIN_SHARED)
        first_main = max(first_main, 0)
        pages = int(rng.integers(1, MOST_PARALLEL, endpoint=True))
        fetch = SEARCH_SECONDS + gamma_seconds(rng, *WEB_SECONDS, pages)
        found: list[int] = []
        for page in range(pages):
            call = _call(
                flow,
                rng,
                "summarise",
                SUMMARY,
                0.5,
                (main,),
                fetch[page],
                first_summary,
                SUMMARY_SHARED,
            )
            first_summary = call if first_summary < 0 else first_summary
            found.append(call)
        ready = tuple(found)
    _call(flow, rng, "report", MAIN, 0.3, ready, 0.0, first_main, MAIN_SHARED)
    return flow.workflow("deep-research", number)


def _call(
    flow: WorkflowBuilder,
    rng: Generator,
    name: str,
    tokens: tuple[float, float],
    sigma: float,
    parents: tuple[int, ...],
    tool: float,
    continues: int,
    shared: int,
) -> int:
    """Append a call whose whole prompt, shared part included, has the given mean."""
    prompt = int(lognormal_tokens(rng, tokens[0], sigma, 1, least=shared + 1)[0])
    output = int(lognormal_tokens(rng, tokens[1], sigma, 1)[0])
    return flow.add(
        name,
        prompt - (shared if continues >= 0 else 0),
        output,
        parents=parents,
        tool_seconds=tool,
        continues=continues,
        shared=shared,
    )
