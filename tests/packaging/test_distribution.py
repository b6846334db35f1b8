"""What an installed copy needs: declared data files, light imports, pinned dependencies."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import hexsolve

PACKAGE = Path(hexsolve.__file__).parent
ROOT = PACKAGE.parent
HEAVY = ("ortools", "pulp", "highspy", "scipy", "networkx")


def run_python(code: str, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "100", "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["-h"]])
def test_the_overview_loads_no_solver(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from hexsolve.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as end:\n    assert end.code == 0, end.code\n"
        f"print('loaded:', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = run_python(code, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("loaded: []")
    if arguments != ["--version"]:
        for command in ("plan", "check", "instance", "calibrate"):
            assert command in done.stdout
    else:
        assert hexsolve.__version__ in done.stdout


def test_help_of_plan_loads_no_solver() -> None:
    code = (
        "import sys\n"
        "from hexsolve.cli.main import main\n"
        "try:\n    main(['plan', '--help'])\n"
        "except SystemExit:\n    pass\n"
        "assert not [n for n in ('ortools', 'pulp', 'highspy') if n in sys.modules]\n"
    )
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert "--export-model" in done.stdout


def test_importing_models_loads_no_solver_and_no_screen() -> None:
    code = (
        "import sys, pkgutil, importlib, hexsolve.models as models\n"
        "for found in pkgutil.walk_packages(models.__path__, 'hexsolve.models.'):\n"
        "    importlib.import_module(found.name)\n"
        "wrong = [n for n in ('ortools', 'pulp', 'highspy', 'rich', 'click') if n in sys.modules]\n"
        "assert not wrong, wrong\n"
    )
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_every_data_file_is_declared() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        setuptools = tomllib.load(file)["tool"]["setuptools"]
    assert setuptools["packages"]["find"]["include"] == ["hexsolve*"]
    declared = {
        path for pattern in setuptools["package-data"]["hexsolve"] for path in PACKAGE.glob(pattern)
    }
    there = {
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert sorted(there - declared) == []
    assert PACKAGE / "py.typed" in declared
    assert len([path for path in declared if path.suffix == ".yaml"]) > 3


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_the_catalog_loads_from_any_folder(tmp_path: Path) -> None:
    code = (
        "from hexsolve.instances.catalog import load_catalog\n"
        "catalog = load_catalog()\n"
        "assert len(catalog.gpus) >= 9 and len(catalog.llms) >= 10 and len(catalog.clusters) >= 5\n"
    )
    done = run_python(code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_pins_that_keep_solvers_together() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    pins = {line.split(">")[0]: line for line in project["dependencies"]}
    # highspy 1.14 and OR-Tools clash in one process; PuLP 4 comes without CBC.
    assert pins["highspy"].endswith("<1.14")
    assert pins["pulp"].endswith("<4")
    assert project["scripts"]["hexsolve"] == "hexsolve.cli.main:main"
