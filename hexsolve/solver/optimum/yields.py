"""Which of two ways of improving a schedule gets how much of the time."""

FORGET = 0.6
"""How much of what was counted before still counts after the next round."""

LEAST_SHARE = 0.2
"""Share of the time that a way gets, even though it gains nothing."""

LEAST_RATE = 1e-6
"""Relative gain per second below which a way is taken to gain nothing."""


class Yields:
    """Shares of time by what annealing and neighbourhoods have gained per second of late.

    Which of them is of more use differs by instance and with the time: with 40 calls annealing
    usually is, with 128 on unequal decode instances neighbourhoods are.
    """

    def __init__(self) -> None:
        # A gain by either in the first rounds outweighs this.
        self._seconds = {"annealing": 1.0, "neighbourhoods": 1.0}
        self._gained = {"annealing": 1e-5, "neighbourhoods": 2e-5}

    @property
    def annealing(self) -> float:
        """Share of annealing; the rest is for neighbourhoods."""
        rate = {way: self._gained[way] / self._seconds[way] for way in self._seconds}
        share = rate["annealing"] / sum(rate.values())
        return min(1.0 - LEAST_SHARE, max(LEAST_SHARE, share))

    def count(self, way: str, seconds: float, gained: float) -> None:
        """Note by what part Req_q fell while a way had some seconds."""
        self._seconds[way] = FORGET * self._seconds[way] + seconds
        self._gained[way] = FORGET * self._gained[way] + gained + LEAST_RATE * seconds
