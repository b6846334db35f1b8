"""The cluster and its live calls as flat arrays, the form that compiled loops take."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Machines(NamedTuple):
    """What does not change during a run: P prefill and D decode servers.

    A mixed instance is one of each, which pair only with each other.
    """

    prefill_numbers: Ints
    """(P,) instance numbers."""
    decode_numbers: Ints
    """(D,) instance numbers."""
    prefill_cost: Floats
    """(P, 8) p0, p1, p2, floor, p3, knee, p4, scale of `PrefillCoefficients`."""
    token_budget: Ints
    """(P,) most new tokens of a batch."""
    most_calls: Ints
    """(P,) most calls of a batch."""
    stages: Ints
    """(P,) pipeline stages: a batch occupies the instance for its time divided by these."""
    decode_cost: Floats
    """(D, 5) d0, d1, d2, d3, active share of `DecodeCoefficients`."""
    pool: Ints
    """(D,) KV pool, tokens."""
    most_batch: Ints
    """(D,) most calls that decode at once."""
    pairs: Flags
    """(P, D) whether a call can be prefilled here and decode there."""
    toll_cost: Floats
    """(2,) marginal prefill seconds per new token and per token pair, mean of the P servers.

    What the congestion price counts. Not those of the server itself: a second of a slow server is
    worth less than one of a fast server, so that seconds of its own would only drive calls away
    from slow servers, which are capacity as well.
    """
    transfer: Floats
    """(P, D) seconds per token of KV; 0 on a mixed instance."""
    latency: Floats
    """(P, D) seconds per transfer."""


class Bound(NamedTuple):
    """M calls whose prefill has begun: each will decode where it is bound."""

    decode: Ints
    """(M,) column of its decode server."""
    joins: Floats
    """(M,) seconds from now until it can decode; 0 if it does."""
    context: Ints
    """(M,) tokens it holds when it joins."""
    steps: Ints
    """(M,) decode steps still to come, as predicted."""


class Frontier(NamedTuple):
    """N calls whose prefill has not begun."""

    length: Ints
    """(N,) tokens to prefill, cached ones included."""
    steps: Ints
    """(N,) decode steps after the first token, as predicted."""
    new: Ints
    """(N, P) tokens that the prefill server has not cached, at least 1; −1 = cannot take it."""
    missing: Ints
    """(N, D) tokens that the decode server lacks; −1 = cannot take it."""
    elapsed: Floats
    """(N,) seconds since the workflow arrived, plus what is expected after the call."""
    horizon: Floats
    """(N,) standalone horizon H_w that its flow time is divided by, s."""


class Choice(NamedTuple):
    """A plan for the frontier."""

    prefill: Ints
    """(N,) row of the prefill server, −1 = no pair can take the call."""
    decode: Ints
    """(N,) column of the decode server."""
    order: Ints
    """(N,) calls in the order in which they were committed."""
    finish: Floats
    """(N,) projected seconds from now until each call completes, when it was committed."""
    ratio: Floats
    """(N,) projected ratio R of the calls, in the order of `order`."""
