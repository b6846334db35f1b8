"""What each call takes at least, on each kind of instance: all that the bounds know of a model."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

INFEASIBLE = np.inf


@dataclass(frozen=True, slots=True)
class Times:
    """Lower bounds of latencies and machine work, in s; n calls, K kinds of equal instances.

    A call is prefilled once on one instance, makes `steps` decode steps on one. *Latency* is the
    time from start to end of a stage; *work* is the call's share of the time for which the stage
    occupies the instance, such that the shares of the calls of a batch add up to at most its
    time. Entries are ``inf`` where an instance of the kind cannot do it.

    Attributes
    ----------
    kinds : tuple of tuple of int, length K
        Numbers of the instances of each kind.
    workflow : int array, shape (n,)
        Position of each call's workflow; calls of a workflow stand together, parents first.
    parents : tuple of tuple of int, length n
        Calls (positions here) that end before this one is revealed.
    tool_s : array, shape (n,)
        Delay between the last parent's end, or the workflow's arrival, and the reveal.
    steps : int array, shape (n,)
        Decode steps; 0 for a call that ends with its prefill.
    prefill_s, prefill_work : array, shape (n, K)
    decode_s, decode_work : array, shape (n, K)
        Of all `steps` together; 0 without any.
    transfer_s : array, shape (n, K, K)
        From the instance of the prefill to that of the decode steps; 0 without steps.
    rest_s : array, shape (n,)
        From the end of the prefill to the end of the call: the least of transfer plus decode.
    level_kind : int array, shape (O,)
        The kind of each level of batch sizes at which decode steps can be made.
    level_s, level_work : array, shape (n, O)
        Latency and work of all decode steps at a level; used without restarts only.
    restarts : int or None
        How often calls are preempted or lost in all, at most; None = any number of times. With 0
        the fields below mean nothing.
    last_step_work : array, shape (n, K)
        Part of `decode_work` for the last step; the steps' parts rise or fall linearly.
    restart_work : array, shape (n, K)
        Of a further prefill, per decode step that it makes unnecessary.
    relief_work : array, shape (n, K)
        What restarts of others can take off `prefill_work`.
    relief : int array, shape (r, 2)
        Pairs (call, other) such that a restart of `other` brings a part of `relief_work[call]`.
    """

    kinds: tuple[tuple[int, ...], ...]
    workflow: Ints
    parents: tuple[tuple[int, ...], ...]
    tool_s: Floats
    steps: Ints
    prefill_s: Floats
    prefill_work: Floats
    decode_s: Floats
    decode_work: Floats
    transfer_s: Floats
    rest_s: Floats
    level_kind: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    level_s: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    level_work: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    level_s_rise: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    level_work_rise: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    prefill_held_s: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    restarts: int | None = 0
    last_step_work: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    restart_work: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    relief_work: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    relief: Ints = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))

    @property
    def counts(self) -> Floats:
        """Instances of each kind, shape (K,)."""
        return np.array([len(kind) for kind in self.kinds], dtype=np.float64)

    @property
    def first_s(self) -> Floats:
        """Least latency of each call's prefill, s, shape (n,)."""
        return np.asarray(self.prefill_s.min(axis=1))

    @property
    def call_s(self) -> Floats:
        """Least latency of each call, s, shape (n,)."""
        if self.restarts == 0:
            return pair_seconds(self)
        return self.first_s + self.rest_s


def rest_seconds(prefill_s: Floats, transfer_s: Floats, decode_s: Floats) -> Floats:
    """Return the least of transfer plus decode over all pairs that can do them, s, shape (n,)."""
    usable = np.where(np.isfinite(prefill_s), 0.0, INFEASIBLE)
    pairs = usable[:, :, None] + transfer_s + decode_s[:, None, :]
    return np.asarray(pairs.min(axis=(1, 2)))


def pair_seconds(times: Times) -> Floats:
    """Return the least of prefill, transfer and decode over all pairs of kinds, s, shape (n,)."""
    pairs = times.prefill_s[:, :, None] + times.transfer_s + times.decode_s[:, None, :]
    return np.asarray(pairs.min(axis=(1, 2)))
