"""What `hexsolve simulate` writes besides its summary: event logs, traces, epochs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from hexsolve.models.errors import InputError

if TYPE_CHECKING:
    from hexsolve.models.simulation.cluster import SimulatedCluster
    from hexsolve.models.simulation.policy import Policy
    from hexsolve.models.simulation.trace import EventLog


def close_epochs(
    policy: "Policy", path: Path | None
) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """End the rolling planner's process, write its log, return its part of the summary, times."""
    from hexsolve.solver.online.rolling.log import EpochLog

    log = getattr(policy, "log", None)
    if not isinstance(log, EpochLog):
        return {}, {}
    getattr(policy, "close", lambda: None)()
    if path is not None:
        try:
            with open_output(path) as stream:
                log.write(stream)
        except OSError as error:
            raise unwritable(path, error) from None
    return {"planner": log.summary()}, log.times()


@contextmanager
def event_log(path: Path, cluster: "SimulatedCluster") -> Iterator["EventLog"]:
    """Yield an event log in the format that the name of the file asks for."""
    from hexsolve.models.simulation.parquet import parquet_log
    from hexsolve.models.simulation.trace import EventLog

    try:
        if path.suffix == ".parquet":
            with open_output(path, "wb") as stream, parquet_log(stream, cluster) as log:
                yield log
        else:
            with open_output(path) as stream:
                yield EventLog(stream, cluster)
    except OSError as error:
        raise unwritable(path, error) from None


def open_output(path: Path, mode: str = "w") -> IO[Any]:
    """Open an output file; raise `InputError` with its name if that fails."""
    try:
        return path.open(mode, encoding=None if "b" in mode else "utf-8")
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> InputError:
    """Return what to tell the user about a file that cannot be written."""
    return InputError(f"cannot be written: {error.strerror}", source=str(path))
