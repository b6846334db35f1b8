"""Real traces, read once for all tests."""

from functools import cache
from math import inf
from time import process_time

import pytest

from hexsolve.instances.importers import read_trace


@pytest.fixture(scope="session")
def real_trace(data_dir):
    """Return a function from a name below `traces` to (trace, CPU seconds its import took)."""

    @cache
    def read(name):
        least = inf
        # The better of two: on a shared machine CPU seconds differ as well.
        for _ in range(2):
            start = process_time()
            trace = read_trace(data_dir / "traces" / name)
            least = min(least, process_time() - start)
        return trace, least

    return read
