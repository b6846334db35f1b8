"""Real traces, read once for all tests."""

import gc
from functools import cache
from time import process_time

import pytest

from hexsolve.instances.importers import read_trace


@pytest.fixture(scope="session")
def real_trace(data_dir):
    """Return a function from a name below `traces` to (trace, CPU seconds its import took)."""

    @cache
    def read(name):
        # What other tests left on the heap is not what the import's garbage collections are about.
        gc.collect()
        gc.freeze()
        start = process_time()
        trace = read_trace(data_dir / "traces" / name)
        seconds = process_time() - start
        gc.unfreeze()
        return trace, seconds

    return read
