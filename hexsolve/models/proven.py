"""The head that the answers of all solvers share: of which instance, how found, how good."""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import Field

from hexsolve.models.base import Record
from hexsolve.models.hardware import NonNegative
from hexsolve.models.status import Limit, Status

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Parameter = bool | int | float | str | None


class ProvenAnswer(Record):
    """What a solver found, with what is needed to check and to repeat it.

    `objective` is null when there is no solution; a valid `bound` is kept even then. `gap` is
    `relative_gap(objective, bound)`. The kind of answer says what is minimised or maximised, and in
    which unit.
    """

    schema_version: Literal[1] = 1
    kind: str
    hexsolve_version: str
    instance_name: str
    instance_hash: Sha256 = Field(description="of the instance that was solved")
    parameters: dict[str, Parameter] = Field(
        default_factory=dict, description="options of the run that are not part of the instance"
    )
    seed: int | None = None
    status: Status
    limit: Limit
    objective: float | None = Field(description="value of what was found")
    bound: float | None = Field(description="nothing can be better; units of objective")
    gap: NonNegative | None = Field(description="relative optimality gap, a fraction")
    runtime_s: NonNegative
    solver: str


def canonical_hash(data: Any) -> str:
    """Return the SHA-256 (hex) of JSON-like data in canonical form.

    Canonical: keys sorted, no spaces, ASCII, floats in Python's shortest form.
    """
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
