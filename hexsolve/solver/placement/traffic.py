"""The workload flattened to one row per call class, as numpy columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsolve.models.problem import PlanningProblem
from hexsolve.models.workload import CallClass, WorkflowClass

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Traffic:
    """Columns over the C call classes of a problem; symbols as in docs/planning-model.md.

    Attributes
    ----------
    calls : list of (WorkflowClass, CallClass)
        The rows, in file order.
    rate : Vector
        ``r_c``, calls/s at load 1.
    new, cached, output : Vector
        Tokens per call.
    decode_steps : Vector
        ``d = max(output − 1, 0)``: the first token comes out of prefill.
    context : Vector
        ``x = n + h + o/2``, mean tokens in the KV pool while decoding.
    spread : Vector
        ``1 + cv²``: second moment over squared mean of the prefill time.
    transfer_bytes : Vector
        Bytes sent from prefill to decode, per call.
    others : Vector
        ``max(P − 1, 0)``: siblings of a call that start together with it.
    """

    calls: list[tuple[WorkflowClass, CallClass]]
    rate: Vector
    new: Vector
    cached: Vector
    output: Vector
    decode_steps: Vector
    context: Vector
    spread: Vector
    transfer_bytes: Vector
    tool_seconds: Vector
    parallel: Vector
    others: Vector
    ttft_limit: Vector
    tpot_limit: Vector

    @classmethod
    def of(cls, problem: PlanningProblem) -> "Traffic":
        """Flatten the workload of `problem`."""
        calls = [(flow, call) for flow in problem.workload.classes for call in flow.calls]

        def column(values: list[float]) -> Vector:
            return np.array(values, dtype=np.float64)

        new = column([call.new_tokens for _, call in calls])
        cached = column([call.cached_tokens for _, call in calls])
        output = column([call.output_tokens for _, call in calls])
        return cls(
            calls=calls,
            rate=column([flow.rate_per_s * call.calls_per_workflow for flow, call in calls]),
            new=new,
            cached=cached,
            output=output,
            decode_steps=np.maximum(output - 1.0, 0.0),
            context=new + cached + output / 2.0,
            spread=column([1.0 + call.new_tokens_cv**2 for _, call in calls]),
            transfer_bytes=(new + cached) * problem.llm.kv_bytes_per_token,
            tool_seconds=column([call.tool_seconds for _, call in calls]),
            parallel=column([call.parallel for _, call in calls]),
            others=column([max(call.parallel - 1.0, 0.0) for _, call in calls]),
            ttft_limit=column([flow.ttft_limit_s or np.inf for flow, _ in calls]),
            tpot_limit=column([flow.tpot_limit_s or np.inf for flow, _ in calls]),
        )

    def __len__(self) -> int:
        return len(self.calls)

    @property
    def attention_work(self) -> Vector:
        """``w = n · (h + n/2)``, tokens² per call."""
        return self.new * (self.cached + self.new / 2.0)
