"""Where the tests find real data, which lies beside the project and not in it."""

import os
from pathlib import Path

import pytest

from hexsolve import native

PROJECT = Path(__file__).resolve().parents[1]


def find_data() -> Path | None:
    """Return the data directory: $HEXSOLVE_DATA, or ../shared/data; None if there is none."""
    named = os.environ.get("HEXSOLVE_DATA")
    path = Path(named) if named else PROJECT.parent / "shared" / "data"
    return path if path.is_dir() else None


def pytest_report_header() -> str:
    """Say which of the two simulators is tested."""
    return f"simulator: {native.state()}"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the directory with real data; the test is skipped, visibly, where it is absent."""
    path = find_data()
    if path is None:
        pytest.skip("real data are absent; set HEXSOLVE_DATA to their directory")
    return path
