"""Policies that live outside hexsolve: ``FILE.py:CLASS`` or ``package.module:CLASS``."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import cast

from hexsolve.models.errors import InputError
from hexsolve.models.simulation.policy import Policy

HOOKS = ("start", "place", "plan", "rank", "completed")


def load_policy(name: str) -> Policy:
    """Return a new instance of the class that `name` points to, made without arguments.

    The code is run: point only to code that you trust.

    Raises
    ------
    InputError
        If there is no such file, module or class, or it is not a policy.
    """
    where, _, attribute = name.rpartition(":")
    try:
        module = (
            _from_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
        )
    except (ImportError, OSError, SyntaxError) as error:
        raise InputError(f"{where!r} cannot be imported: {error}", field="policy") from None
    made = getattr(module, attribute, None)
    if not callable(made):
        raise InputError(f"{where!r} has no class {attribute!r}", field="policy")
    try:
        policy = made()
    except TypeError as error:
        raise InputError(
            f"{name!r} cannot be made without arguments: {error}", field="policy"
        ) from None
    missing = [hook for hook in HOOKS if not callable(getattr(policy, hook, None))]
    if missing:
        raise InputError(
            f"{name!r} is not a policy: it has no {', '.join(missing)}; derive it from BasePolicy",
            field="policy",
        )
    return cast(Policy, policy)


def _from_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"hexsolve_policy_{path.stem}", path)
    if spec is None or spec.loader is None or not path.exists():
        raise ImportError("no such file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
