"""Policies that live outside hexsolve: ``FILE.py:CLASS`` or ``package.module:CLASS``."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import cast

from hexsolve.models.errors import InputError
from hexsolve.models.simulation.policy import Policy

HOOKS = ("start", "place", "plan", "rank", "completed")
ATTRIBUTES = ("name", "epoch_s", "epoch_on_change", "ranks_batches")


def load_policy(name: str) -> Policy:
    """Return a new instance of the class that `name` points to, made without arguments.

    The code is run: point only to code that you trust.

    Raises
    ------
    InputError
        If there is no such file, module or class, it is not a policy, or its code raises anything.
    """
    where, _, attribute = name.rpartition(":")
    # Theirs is any code, so any exception can come out of it; users get one line of it.
    try:
        module = (
            _from_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
        )
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{where!r} cannot be imported: {_one_line(error)}", field="policy"
        ) from None
    made = getattr(module, attribute, None)
    if not callable(made):
        raise InputError(f"{where!r} has no class {attribute!r}", field="policy")
    try:
        policy = made()
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{name!r} cannot be made without arguments: {_one_line(error)}", field="policy"
        ) from None
    missing = [hook for hook in HOOKS if not callable(getattr(policy, hook, None))]
    missing += [each for each in ATTRIBUTES if not hasattr(policy, each)]
    if missing:
        raise InputError(
            f"{name!r} is not a policy: it has no {', '.join(missing)}; derive it from BasePolicy",
            field="policy",
        )
    epoch = policy.epoch_s
    if epoch is not None and not (isinstance(epoch, int | float) and 0.0 < epoch < float("inf")):
        raise InputError(
            f"epoch_s of {name!r} is {epoch!r}; allowed: seconds above 0, or None", field="policy"
        )
    return cast(Policy, policy)


def _one_line(error: BaseException) -> str:
    """Return the kind of an exception and its message without line breaks."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _from_file(path: Path) -> ModuleType:
    # Two files of one name are two modules.
    name = f"hexsolve_policy_{path.resolve()}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.exists():
        raise ImportError("no such file")
    module = importlib.util.module_from_spec(spec)
    # As `import` does: dataclasses look up their module to resolve annotations that are strings.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
