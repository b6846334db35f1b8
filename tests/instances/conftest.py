"""Real traces, read once for all tests."""

from functools import cache
from time import process_time

import pytest

from hexsolve.instances.importers import read_trace


@pytest.fixture(scope="session")
def real_trace(data_dir):
    """Return a function from a name below `traces` to (trace, CPU seconds its import took)."""

    @cache
    def read(name):
        start = process_time()
        trace = read_trace(data_dir / "traces" / name)
        return trace, process_time() - start

    return read
