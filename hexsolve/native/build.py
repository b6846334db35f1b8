"""Compile the simulator: ``python -m hexsolve.native.build``; needs mypy and a C compiler."""

import json
import os
import shutil
import sys
import sysconfig
import tempfile
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

from hexsolve.native import LIBRARY, MANIFEST, MODULES, fingerprint, source, state

MYPY = (
    "--follow-imports=silent",
    "--ignore-missing-imports",
    "--python-executable",
    sys.executable,
)


def build(folder: Path) -> list[Path]:
    """Compile `MODULES` in `folder`, an empty one; return the extension modules.

    Raises
    ------
    SystemExit
        If mypyc rejects the code.
    setuptools.errors.BaseError
        If the C compiler does.
    """
    from mypyc.build import mypycify
    from setuptools import Distribution

    paths = [str(source(module)) for module in MODULES]
    cache = f"--cache-dir={folder / 'cache'}"
    extensions = mypycify(
        [*MYPY, cache, *paths],
        opt_level="3",
        debug_level="0",
        target_dir=str(folder / "c"),
        group_name="hexsolve",
    )
    distribution = Distribution({"name": "hexsolve-native", "ext_modules": extensions})
    distribution.verbose = False
    command = distribution.get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(folder / "lib"), str(folder / "objects")
    command.ensure_finalized()
    command.run()
    return [path for path in (folder / "lib").rglob("*") if path.is_file()]


def install(extensions: list[Path], folder: Path, mark: str) -> None:
    """Put extension modules of sources with fingerprint `mark`, built in `folder`, into use."""
    fresh = Path(tempfile.mkdtemp(prefix=".lib-", dir=LIBRARY.parent))
    files = {}
    for path in extensions:
        parts = (*path.relative_to(folder / "lib").parent.parts, path.name.split(".")[0])
        files[".".join(parts)] = name = ".".join(parts) + path.suffix
        shutil.copyfile(path, fresh / name)
    text = json.dumps({"fingerprint": mark, "files": files}, indent=1)
    (fresh / MANIFEST.name).write_text(text, encoding="utf-8")
    fresh.chmod(0o755)
    shutil.rmtree(LIBRARY, ignore_errors=True)
    fresh.rename(LIBRARY)


def obstacle() -> str:
    """Return what is missing here for a build; empty if nothing."""
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    if shutil.which(compiler.split()[0]) is None:
        return f"there is no C compiler ({compiler.split()[0]})"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "Python's header files are not installed (Python.h)"
    if find_spec("mypyc") is None or find_spec("setuptools") is None:
        return "mypyc is not installed; try: pip install 'mypy[mypyc]'"
    return ""


def main() -> int:
    """Compile unless what is there is up to date; exit status 1 if that is not possible."""
    if state() == "compiled":
        print("the simulator is compiled already")
        return 0
    missing = obstacle()
    if missing:
        print(f"not compiled, the simulator runs as Python: {missing}", file=sys.stderr)
        return 1
    print("compiling the simulator (half a minute) …", flush=True)
    mark = fingerprint()
    chatter = StringIO()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            with redirect_stdout(chatter):
                install(build(folder), folder, mark)
        except (Exception, SystemExit) as error:
            # Whatever the compiler stumbles over, the Python files do the same work.
            print(chatter.getvalue(), file=sys.stderr)
            print(f"not compiled, the simulator runs as Python: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    os.environ.pop("MYPYPATH", None)
    sys.exit(main())
