"""How far a planning class is from the calls it stands for."""

import numpy as np
from pydantic import Field

from hexsolve.instances.classes.table import CallTable, Floats, Ints, nominal_seconds
from hexsolve.models.base import Record


class ApproximationError(Record):
    """Errors of class means against single calls, relative to the mean over all calls.

    The four spreads are Σ|x − x̂| / Σx over calls x with their class's value x̂. A spread does not
    bias capacity, since class totals are exact for tokens; the biases say how far totals of
    work are off, which multiply two counts and so are not exact.
    """

    call_classes: int = Field(description="number of call classes")
    workflow_classes: int = Field(description="number of workflow classes")
    new_tokens: float = Field(description="spread of n")
    prefill_work: float = Field(description="spread of n·(h + n/2)")
    output_tokens: float = Field(description="spread of o")
    decode_work: float = Field(description="spread of o·(prompt + o/2)")
    prefill_work_bias: float = Field(
        description="total prefill work of the classes (new_tokens_cv used) / true total − 1"
    )
    decode_work_bias: float = Field(description="total decode work of the classes / true − 1")
    path_seconds_bias: float = Field(
        description="length of the classes' path at nominal speeds / mean over workflows of the "
        "true critical path − 1; negative where the slowest of parallel calls sets the pace"
    )

    @property
    def mean(self) -> float:
        """Mean of the four spreads."""
        return (self.new_tokens + self.prefill_work + self.output_tokens + self.decode_work) / 4

    def text(self) -> str:
        """Return one sentence for a report."""
        return (
            f"{self.call_classes} call classes in {self.workflow_classes} workflow classes; mean "
            f"absolute error per call, relative to the mean: new tokens {self.new_tokens:.1%}, "
            f"prefill work {self.prefill_work:.1%}, output tokens {self.output_tokens:.1%}, "
            f"decode work {self.decode_work:.1%}; totals of tokens are exact, of prefill work "
            f"{self.prefill_work_bias:+.1%}, of decode work {self.decode_work_bias:+.1%}; length "
            f"of the critical path {self.path_seconds_bias:+.1%}"
        )


def approximation_error(
    table: CallTable, groups: list[Ints], workflow_classes: int
) -> ApproximationError:
    """Measure call classes against their calls.

    Parameters
    ----------
    table : CallTable
        The calls.
    groups : list of Ints
        The calls of each class; together all calls, each once.
    workflow_classes : int
        Number of workflow classes.
    """
    label = np.empty(len(table.new), dtype=np.int64)
    for index, group in enumerate(groups):
        label[group] = index
    size = np.bincount(label).astype(np.float64)

    def mean(values: Floats) -> Floats:
        """Return per call the mean of its class."""
        return np.asarray((np.bincount(label, values) / size)[label], dtype=np.float64)

    new, cached, output = mean(table.new), mean(table.cached), mean(table.output)
    variance = np.maximum(mean(table.new**2) - new**2, 0.0)
    prefill = new * (cached + new / 2)
    decode = output * (new + cached + output / 2)
    path = nominal_seconds(table.tool, new, output) * table.share
    return ApproximationError(
        call_classes=len(groups),
        workflow_classes=workflow_classes,
        new_tokens=_spread(table.new, new),
        prefill_work=_spread(table.prefill_work, prefill),
        output_tokens=_spread(table.output, output),
        decode_work=_spread(table.decode_work, decode),
        prefill_work_bias=_ratio((prefill + variance / 2).sum(), table.prefill_work.sum()),
        decode_work_bias=_ratio(decode.sum(), table.decode_work.sum()),
        path_seconds_bias=_ratio(path.sum(), table.path_seconds.sum()),
    )


def _spread(true: Floats, approximate: Floats) -> float:
    total = float(true.sum())
    return float(np.abs(true - approximate).sum()) / total if total > 0 else 0.0


def _ratio(approximate: float, true: float) -> float:
    return float(approximate) / float(true) - 1.0 if true > 0 else 0.0
