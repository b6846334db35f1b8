"""The offline MILP: which GPUs become prefill, decode or mixed instances."""
