"""The base class of every record: immutable, closed to unknown fields, finite numbers only."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Immutable data. Unknown fields, NaN and infinities are refused when it is built."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_default=True,
        # Catalog fields such as `model_type` must not clash with pydantic's own prefix.
        protected_namespaces=(),
    )
