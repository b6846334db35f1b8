"""Calls that are longer than the LLM accepts."""

from hexsolve.models.problem import PlanningProblem


def beyond_context(problem: PlanningProblem) -> tuple[str, ...]:
    """Return a warning, in words, if call classes are longer than the LLM's context, else none.

    Such calls are planned as if the LLM took them.
    """
    limit = problem.llm.context_limit
    longest = max(
        call.prompt_tokens + call.output_tokens
        for workflow in problem.workload.classes
        for call in workflow.calls
    )
    if longest <= limit:
        return ()
    return (f"calls of up to {longest:,.0f} tokens, beyond the LLM's context of {limit:,}",)
