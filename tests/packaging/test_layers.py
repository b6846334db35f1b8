"""Layers, docstrings and file sizes, read from the source; nothing is imported here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import hexsolve

PACKAGE = Path(hexsolve.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# layer → what it may not import
FORBIDDEN = {
    "models": ("solver", "instances", "studies", "cli"),
    "solver": ("instances", "studies", "cli"),
    "instances": ("studies", "cli"),
    "studies": ("cli",),
}
MODELS_TOUCH_NO_FILES = ("pathlib", "os", "io", "rich", "click", "yaml", "tempfile", "subprocess")
MOST_LINES = 600


def imported(path: Path) -> Iterator[str]:
    """Absolute names of the modules that a file imports anywhere, in functions too."""
    package = ("hexsolve", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{module}.{alias.name}"


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def test_the_scan_sees_the_package() -> None:
    assert {layer(path) for path in FILES} >= {"models", "solver", "instances", "studies", "cli"}
    assert "hexsolve.models.plan.Plan" in set(imported(PACKAGE / "models/check/plan.py"))


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_lower_layers_import_no_higher_one(name: str) -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in FILES
        if layer(path) == name
        for module in imported(path)
        if any((module + ".").startswith(f"hexsolve.{other}.") for other in FORBIDDEN[name])
    ]
    assert wrong == []


def test_models_touch_neither_files_nor_screen() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in FILES
        if layer(path) == "models"
        for module in imported(path)
        if module.split(".")[0] in MODELS_TOUCH_NO_FILES
    ]
    assert wrong == []


def test_the_checker_shares_no_code_with_the_solver() -> None:
    modules = {name for path in (PACKAGE / "models/check").glob("*.py") for name in imported(path)}
    assert modules
    assert not [name for name in modules if name.startswith("hexsolve.solver")]
    assert not [name for name in modules if name.split(".")[0] in ("pulp", "highspy", "ortools")]


def public(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Public functions and classes of a module, and public methods of public classes."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in tree.body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, kinds) and not inner.name.startswith("_"):
                        yield f"{node.name}.{inner.name}", inner


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_docstrings_and_size(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "the module has no docstring"
    missing = [
        name
        for name, node in public(tree)
        if not ast.get_docstring(node) and not _overrides(node)  # type: ignore[arg-type]
    ]
    assert missing == []


def _overrides(node: ast.AST) -> bool:
    """Overloads and property setters are documented where they are declared."""
    decorators = [ast.unparse(d) for d in getattr(node, "decorator_list", [])]
    return any(name == "overload" or name.endswith(".setter") for name in decorators)
