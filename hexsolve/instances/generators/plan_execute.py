"""Plan, tools in parallel, join: two LLM calls around a fan-out of tools.

Figures (LLMCompiler ParallelQA, arXiv 2312.04511): fan-out 2–5; plan and join are the 2 LLM
calls. The tools run on no GPU, so the join waits for the slowest of them. Assumed (not
published): plan 1,500 prompt / 120 output tokens, join the plan's context and 200 tokens a tool
result / 60 output tokens, lognormal with σ = 0.4; tools take 0.3 s, exponential.
"""

from numpy.random import Generator

from hexsolve.instances.generators.draws import lognormal_tokens
from hexsolve.instances.generators.thread import WorkflowBuilder
from hexsolve.models.workflow import Workflow

FAN_OUT = (2, 5)
PLAN = (1500.0, 120.0)
RESULT_TOKENS = 200.0
JOIN_OUTPUT = 60.0
TOOL_SECONDS = 0.3


def generate(count: int, rng: Generator) -> list[Workflow]:
    """Return `count` questions."""
    return [_question(number, rng) for number in range(count)]


def _question(number: int, rng: Generator) -> Workflow:
    tools = int(rng.integers(FAN_OUT[0], FAN_OUT[1], endpoint=True))
    flow = WorkflowBuilder()
    plan = flow.add(
        "plan",
        lognormal_tokens(rng, PLAN[0], 0.4, 1)[0],
        lognormal_tokens(rng, PLAN[1], 0.4, 1)[0],
    )
    flow.add(
        "join",
        lognormal_tokens(rng, RESULT_TOKENS, 0.4, tools).sum(),
        lognormal_tokens(rng, JOIN_OUTPUT, 0.4, 1)[0],
        parents=(plan,),
        tool_seconds=float(rng.exponential(TOOL_SECONDS, tools).max()),
        continues=plan,
    )
    return flow.workflow("plan-execute", number)
