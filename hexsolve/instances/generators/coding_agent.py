"""Coding agent: long sessions on one growing context, with tools and rare sub-agents.

Figures (measured on 676 sessions of callanjfox/kv-cache-tester): calls a session lognormal(3.62,
1.15); output lognormal(5.56, 0.89); context growth a call lognormal(6.59, 1.30); tool gap
lognormal(2.52, 1.29) s; 97.4 % of the prompt tokens after the first call are a repeated prefix;
sub-agents in 2.5 % of sessions, at most 3 at once, 11 calls each.

Assumed: the first prompt is lognormal(10.1, 0.5) (system prompt, tools and task: about 24,000
tokens; the trace also holds sessions resumed at several 100,000, which are left out); a prompt
that would exceed 170,000 tokens is compacted to a fresh one that shares only the system prompt
and tools; with probability 2 % an edit of the history breaks the prefix at a uniformly drawn
point, which together with the compactions gives the published share of prefix; sub-agents start
from their own 13,000-token prompt, which those of one session share; a session with sub-agents
has 1 + Poisson(2.3) occasions, each with 1…3 in parallel.
"""

from numpy.random import Generator

from hexsolve.instances.generators.draws import lognormal_integers
from hexsolve.instances.generators.thread import WorkflowBuilder
from hexsolve.models.workflow import Workflow

CALLS = (3.62, 1.15)
OUTPUT = (5.56, 0.89)
GROWTH = (6.59, 1.30)
GAP = (2.52, 1.29)
FIRST = (10.1, 0.5)
LONGEST_SESSION = 2000
CONTEXT_LIMIT = 170_000
SYSTEM_TOKENS = 15_000
BREAK_PROBABILITY = 0.02
SUB_AGENT_SESSIONS = 0.025
SUB_AGENT_CALLS = 11.0
SUB_AGENT_SYSTEM = 13_000
AT_ONCE = 3


def generate(count: int, rng: Generator) -> list[Workflow]:
    """Return `count` sessions."""
    return [_session(number, rng) for number in range(count)]


def _session(number: int, rng: Generator) -> Workflow:
    calls = int(lognormal_integers(rng, *CALLS, 1, most=LONGEST_SESSION)[0])
    output = lognormal_integers(rng, *OUTPUT, calls)
    growth = lognormal_integers(rng, *GROWTH, calls, most=100_000)
    gap = rng.lognormal(*GAP, calls)
    first = int(lognormal_integers(rng, *FIRST, 1, most=CONTEXT_LIMIT)[0])
    breaks = rng.random(calls) < BREAK_PROBABILITY
    occasions = _occasions(calls, rng)
    flow = WorkflowBuilder()
    last = flow.add("start", first, output[0])
    agents_start = -1
    for index in range(1, calls):
        parents = [last]
        for _ in range(occasions.get(index, 0)):
            agents_start, end = _sub_agent(flow, last, agents_start, rng)
            parents.append(end)
        before = flow.calls[last]
        # The growth of a context is its prompt's, the answer before it included.
        prompt = before.prompt_tokens + int(growth[index])
        shared = min(prompt, before.prompt_tokens + before.output_tokens)
        if prompt > CONTEXT_LIMIT:
            prompt, shared = first, min(SYSTEM_TOKENS, first)
        elif breaks[index]:
            shared = int(rng.integers(min(SYSTEM_TOKENS, shared), shared, endpoint=True))
        last = flow.add(
            "turn",
            prompt - shared,
            output[index],
            parents=tuple(parents),
            tool_seconds=gap[index],
            continues=last,
            shared=shared,
        )
    return flow.workflow("coding-agent", number)


def _occasions(calls: int, rng: Generator) -> dict[int, int]:
    """Return call index → number of sub-agents that run before it."""
    has_agents = rng.random() < SUB_AGENT_SESSIONS
    if not has_agents or calls < 2:
        return {}
    places = 1 + int(rng.poisson(2.3))
    return {
        int(rng.integers(1, calls)): int(rng.integers(1, AT_ONCE, endpoint=True))
        for _ in range(places)
    }


def _sub_agent(
    flow: WorkflowBuilder, spawner: int, earlier: int, rng: Generator
) -> tuple[int, int]:
    """Append a sub-agent; return the first call of the session's first one, and its own last."""
    calls = 1 + int(rng.poisson(SUB_AGENT_CALLS - 1))
    output = lognormal_integers(rng, *OUTPUT, calls)
    growth = lognormal_integers(rng, *GROWTH, calls, most=50_000)
    gap = rng.lognormal(*GAP, calls)
    task = max(64, int(growth[0]) // 4)
    last = flow.add(
        "sub-agent-start",
        task if earlier >= 0 else SUB_AGENT_SYSTEM + task,
        output[0],
        parents=(spawner,),
        continues=earlier,
        shared=SUB_AGENT_SYSTEM,
    )
    first = earlier if earlier >= 0 else last
    for index in range(1, calls):
        last = flow.add(
            "sub-agent-turn",
            growth[index],
            output[index],
            parents=(last,),
            tool_seconds=gap[index],
            continues=last,
        )
    return first, last
