"""What is refused before a run starts."""

from collections.abc import Sequence

from hexsolve.models.errors import InputError
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.workflow import Workflow


def largest_call(cluster: SimulatedCluster) -> int:
    """Return the most tokens of KV of a call that can complete, be it after a rebuild."""

    def largest(role: str) -> int:
        pools = [spec.capacity for spec in cluster.instances if spec.role == role]
        return max(pools, default=0)

    return max(min(largest("prefill"), largest("decode")), largest("mixed"))


def check_sizes(cluster: SimulatedCluster, workflows: Sequence[Workflow]) -> None:
    """Raise `InputError` for a call that can never complete."""
    limit = largest_call(cluster)
    for workflow in workflows:
        for index, call in enumerate(workflow.calls):
            if call.prompt_tokens + max(0, call.output_tokens - 1) > limit:
                raise InputError(
                    f"needs {call.prompt_tokens} prompt and {call.output_tokens} output tokens of "
                    f"KV; allowed: at most {limit} tokens in all, what the largest pools hold",
                    field=f"workflow {workflow.name!r}.calls[{index}]",
                )
