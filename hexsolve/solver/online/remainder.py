"""How much of a workflow is still to come: learned from complete workflows of its class."""

from bisect import bisect_right, insort


class ExpectedRemainder:
    """Mean residual standalone horizon of a workflow that has got as far as h.

    ``E[H − h | H > h]`` over the final standalone horizons H of the last complete workflows of the
    class (mean residual life). If fewer than `LEAST` of the class got beyond h, those of all
    classes that did count; with fewer than that of them, too, nothing is known and 0 is returned.
    """

    LEAST = 5
    WINDOW = 400

    def __init__(self) -> None:
        self._classes: dict[str, _Finals] = {}
        self._all = _Finals()

    def learn(self, workflow_class: str, final_s: float) -> None:
        """Take note of the final horizon of a complete workflow, s."""
        self._classes.setdefault(workflow_class, _Finals()).add(final_s)
        self._all.add(final_s)

    def remainder(self, workflow_class: str, reached_s: float) -> float:
        """Return the seconds expected beyond `reached_s` of the standalone horizon."""
        known = self._classes.get(workflow_class)
        if known is not None:
            value = known.mean_residual(reached_s)
            if value is not None:
                return value
        return self._all.mean_residual(reached_s) or 0.0


class _Finals:
    """The last values, sorted, with sums from each one on."""

    def __init__(self) -> None:
        self._recent: list[float] = []
        self._sorted: list[float] = []
        self._suffix: list[float] = []
        self._fresh = False

    def add(self, value: float) -> None:
        self._recent.append(value)
        insort(self._sorted, value)
        if len(self._recent) > ExpectedRemainder.WINDOW:
            del self._sorted[bisect_right(self._sorted, self._recent.pop(0)) - 1]
        self._fresh = False

    def mean_residual(self, reached: float) -> float | None:
        if not self._fresh:
            total, suffix = 0.0, [0.0]
            for value in reversed(self._sorted):
                total += value
                suffix.append(total)
            self._suffix = suffix[::-1]
            self._fresh = True
        index = bisect_right(self._sorted, reached)
        beyond = len(self._sorted) - index
        if beyond < ExpectedRemainder.LEAST:
            return None
        return self._suffix[index] / beyond - reached
