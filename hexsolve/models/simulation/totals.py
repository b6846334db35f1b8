"""What one instance did in a run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InstanceTotals:
    """What one instance did in a run."""

    name: str
    role: str
    busy_s: float
    """Seconds in which a batch or step ran."""
    steps: int
    """Decode steps."""
    decoded_tokens: int
    mean_kv_tokens: float
    """Tokens present (pinned or cache), averaged over busy time; 0 for prefill instances."""
    kv_capacity_tokens: int
    evicted_tokens: int
    sent_bytes: int
    """KV sent to decode instances; a transfer that a failure cuts short counts in full."""
    received_bytes: int
    """Likewise, from prefill instances."""
