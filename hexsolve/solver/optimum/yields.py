"""Which of several ways of improving a schedule gets how much of the time."""

from typing import Literal

FORGET = 0.6
"""How much of what was counted before still counts after the next round."""

LEAST_SHARE = 0.15
"""Share of the time that a way gets, even though it gains nothing."""

Way = Literal["lists", "sequences", "neighbourhoods"]

WAYS: tuple[Way, ...] = ("lists", "sequences", "neighbourhoods")

LEAST_RATES: dict[Way, float] = {"lists": 1e-6, "sequences": 2e-6, "neighbourhoods": 1e-6}
"""Relative gain per second below which a way is taken to gain nothing: a run over sequences that
takes a minute shows what it gains at its end."""


class Yields:
    """Shares of time by what lists, sequences and neighbourhoods have gained per second of late.

    Which of them is of more use differs by instance and with the time: with 40 calls annealing
    of lists usually is, with 128 on unequal decode instances that of sequences, and CP-SAT's
    neighbourhoods where neither comes further.
    """

    def __init__(self) -> None:
        # A gain by any of them in the first rounds outweighs this.
        self._seconds = dict.fromkeys(WAYS, 1.0)
        self._gained = {way: 10.0 * rate for way, rate in LEAST_RATES.items()}

    def share(self, way: Way) -> float:
        """Return a way's share: the least, and of the rest what it has of all gains."""
        rate = {each: self._gained[each] / self._seconds[each] for each in WAYS}
        rest = 1.0 - len(WAYS) * LEAST_SHARE
        return LEAST_SHARE + rest * rate[way] / sum(rate.values())

    def count(self, way: Way, seconds: float, gained: float) -> None:
        """Note by what part Req_q fell while a way had some seconds."""
        self._seconds[way] = FORGET * self._seconds[way] + seconds
        self._gained[way] = FORGET * self._gained[way] + gained + LEAST_RATES[way] * seconds
