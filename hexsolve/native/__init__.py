"""The simulator as machine code, where it was compiled; the same modules as Python elsewhere.

``python -m hexsolve.native.build`` translates `MODULES` to C with mypyc and compiles that into
`LIBRARY`. From then on an import of one of them loads the compiled one, but only as long as every
file of `sources` is the one that was compiled: after an edit the Python files run again, until the
next build. Results are the same in every digit, only the speed differs. `state` says what runs;
``HEXSOLVE_NATIVE=0`` in the environment switches compiled code off.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from sysconfig import get_config_var, get_platform
from types import ModuleType

PACKAGE = Path(__file__).resolve().parents[1]
LIBRARY = PACKAGE / "native" / "lib"
MANIFEST = LIBRARY / "manifest.json"
SIMULATION = "hexsolve.models.simulation"
MODULES = tuple(
    f"{SIMULATION}.{name}"
    for name in (
        "assignment",
        "calls",
        "clock",
        "clone",
        "decode",
        "dispatch",
        "engine",
        "events",
        "failures",
        "links",
        "mixed",
        "open_workflow",
        "pool",
        "prefill",
        "prefixes",
        "record",
        "runs",
        "stepping",
        "view",
    )
)
"""What is compiled: all that runs per event. Its classes cannot be subclassed in Python."""


def source(module: str) -> Path:
    """Return the Python file of a module of this package."""
    return PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")


def sources() -> Iterator[Path]:
    """Yield the files that compiled code depends on: what was compiled, and types it relies on."""
    models = PACKAGE / "models"
    yield from sorted((models / "simulation").glob("*.py"))
    yield from (models / "workflow.py", models / "latency.py", PACKAGE / "native" / "build.py")


def fingerprint() -> str:
    """Return a digest of `sources` and of the interpreter."""
    digest = hashlib.sha256(f"{sys.version} {get_platform()} {get_config_var('SOABI')}".encode())
    for path in sources():
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


class _Finder(MetaPathFinder):
    """Finds compiled modules in `LIBRARY`."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 -- a hook of the import system
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        # mypyc names the library that all compiled modules share `…__mypyc`.
        if not fullname.startswith(SIMULATION) and not fullname.endswith("__mypyc"):
            return None
        name = _examine()[1].get(fullname)
        if name is None:
            return None
        file = str(LIBRARY / name)
        return spec_from_file_location(fullname, file, loader=ExtensionFileLoader(fullname, file))


@cache
def _examine() -> tuple[str, dict[str, str]]:
    """Return the state, and the file of every compiled module that may be used."""
    if os.environ.get("HEXSOLVE_NATIVE") == "0":
        return "python (switched off)", {}
    try:
        manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
        files: dict[str, str] = manifest["files"]
        if manifest["fingerprint"] != fingerprint():
            return "python (compiled code is out of date)", {}
    except (OSError, ValueError, KeyError):
        return "python (not compiled)", {}
    return "compiled", files


def state() -> str:
    """Return ``compiled``, or ``python`` and why, of the simulator in this process."""
    return _examine()[0]


def activate() -> None:
    """Let imports from now on find compiled modules."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
