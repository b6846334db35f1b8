"""The independent checker of plans: shares no code with any solver.

Written from docs/planning-model.md alone. Every rule of its table is one function with the
rule's name; the formulas are computed in other ways than the solver's (transfers paired off one
by one, stages packed into nodes), so that the two can only agree by both being right.
"""

from hexsolve.models.check.answer import ANSWER_RULES, check_answer, unverified
from hexsolve.models.check.plan import MODEL_RULES, check_plan
from hexsolve.models.check.structure import STRUCTURE_RULES
from hexsolve.models.check.violation import TOLERANCE, Violation

__all__ = [
    "ANSWER_RULES",
    "MODEL_RULES",
    "STRUCTURE_RULES",
    "TOLERANCE",
    "Violation",
    "check_answer",
    "check_plan",
    "unverified",
]
