"""Check a plan: all rules on one list."""

from hexsolve.models.check.decode import DECODE_RULES
from hexsolve.models.check.mixed import MIXED_RULES
from hexsolve.models.check.prefill import PREFILL_RULES
from hexsolve.models.check.structure import STRUCTURE_RULES
from hexsolve.models.check.totals import TOTAL_RULES
from hexsolve.models.check.traffic import TRAFFIC_RULES
from hexsolve.models.check.view import resolve
from hexsolve.models.check.violation import Violation
from hexsolve.models.plan import Plan
from hexsolve.models.problem import PlanningProblem

MODEL_RULES = (*TRAFFIC_RULES, *PREFILL_RULES, *DECODE_RULES, *MIXED_RULES, *TOTAL_RULES)
"""The rules of the planning model, one function each, named as in its table."""


def check_plan(problem: PlanningProblem, plan: Plan) -> list[Violation]:
    """Return every rule that a plan breaks, by more than the relative `TOLERANCE`.

    Parameters
    ----------
    problem : PlanningProblem
        What was to be planned. Its `slo_scale`, where given, limits the workflow latencies.
    plan : Plan
        The plan, at its own load: whether that is the load asked for is a matter of the
        objective, see `check_answer`.

    Returns
    -------
    list of Violation
        Empty for a valid plan. A plan that is not well-formed (unknown names, numbers out of
        range) is reported as such only: the model's rules have no meaning for it.
    """
    malformed = [violation for rule in STRUCTURE_RULES for violation in rule(problem, plan)]
    if malformed:
        return malformed
    view = resolve(problem, plan)
    return [violation for rule in MODEL_RULES for violation in rule(view)]
