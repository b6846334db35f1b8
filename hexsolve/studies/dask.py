"""Run the jobs of a study on a Dask cluster."""

import time
from collections.abc import Iterator
from typing import Any

from hexsolve.models.errors import InputError, UnsupportedError
from hexsolve.studies.runner import Executor, Job, Result, run_job
from hexsolve.studies.schema import Study

CONNECT_S = 10
LOOK_S = 1.0


def cluster(address: str) -> Executor:
    """Return an executor on the workers of a Dask scheduler.

    A job whose worker is lost runs again on another one; jobs have no effect but their result,
    so that nothing is doubled. Workers need the same version of hexsolve, and files that the
    study names under the same path; one thread each is best (``dask worker --nthreads 1``).

    Raises
    ------
    UnsupportedError
        If distributed is not installed.
    InputError
        If nobody answers at the address, or a job lost its worker again and again.
    """
    try:
        import distributed
    except ImportError:
        raise UnsupportedError(
            "--dask needs distributed: pip install 'hexsolve[dask]', or use --jobs"
        ) from None
    # Its functions have no types.
    library: Any = distributed
    try:
        library.comm.get_address_host_port(address)
    except (ValueError, TypeError) as error:
        # Refused before there is a client, whose end would wait for a connection that never was.
        raise _unreachable(address, error) from None

    def run(study: Study, jobs: list[Job]) -> Iterator[Result]:
        try:
            client = library.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise _unreachable(address, error) from None
        remaining = iter(jobs)
        with client:
            results = library.as_completed(loop=client.loop)
            running = 0
            threads, looked = 0, -LOOK_S
            while True:
                if time.monotonic() - looked >= LOOK_S:
                    # Workers come and go.
                    threads, looked = sum(client.nthreads().values()), time.monotonic()
                while running < max(2, 2 * threads) and (job := next(remaining, None)) is not None:
                    results.add(client.submit(run_job, study, job, pure=False))
                    running += 1
                if not running:
                    return
                future = next(results)
                running -= 1
                try:
                    result: Result = future.result()
                except library.KilledWorker as error:
                    raise InputError(
                        f"a job lost its worker too often ({error}); the same command goes on",
                        field="--dask",
                    ) from None
                future.release()
                yield result

    return run


def _unreachable(address: str, error: Exception) -> InputError:
    return InputError(
        f"{address!r} cannot be reached ({error}); allowed: the address of a scheduler, such as "
        "tcp://127.0.0.1:8786",
        field="--dask",
    )
