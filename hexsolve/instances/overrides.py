"""Targets given on the command line in place of an instance's own."""

from hexsolve.instances.schema import Factor, LoadFactor, Scale
from hexsolve.instances.validation import validated
from hexsolve.models.answer import Answer
from hexsolve.models.base import Record
from hexsolve.models.problem import PlanningProblem


class Overrides(Record):
    """Targets that replace those of an instance; None = the instance's own.

    An answer keeps them among its `parameters`, so that it can be checked and simulated with
    the file that was planned.
    """

    slo_scale: Scale | None = None
    load: LoadFactor | None = None
    budget_per_hour: Factor | None = None

    def given(self) -> dict[str, float]:
        """Return field → value of what replaces something."""
        fields: dict[str, float] = self.model_dump(exclude_none=True)
        return fields

    def applied(self, problem: PlanningProblem) -> PlanningProblem:
        """Return the problem with these targets."""
        return problem.model_copy(update=self.given())

    def recorded(self, answer: Answer) -> Answer:
        """Return the answer with these targets among its parameters."""
        return answer.model_copy(update={"parameters": {**answer.parameters, **self.given()}})


def overrides_of(answer: Answer, source: str) -> Overrides:
    """Return the targets that an answer was planned with in place of its instance's.

    Raises
    ------
    InputError
        If one is out of range; `source` names the file.
    """
    stated = {k: v for k, v in answer.parameters.items() if k in Overrides.model_fields}
    return validated(Overrides, stated, f"{source}: parameters")
