"""Shallow copies of the simulator's objects, compiled or not."""

from collections.abc import Callable
from copy import copy
from functools import cache
from operator import attrgetter
from typing import TypeVar

T = TypeVar("T")


def shallow(original: T) -> T:
    """Return a new object with the same attributes.

    `copy.copy` leaves out the attributes of compiled classes, which name them all in
    ``__mypyc_attrs__``; they must allow subclasses, or ``__new__`` would call ``__init__``.
    """
    kind = type(original)
    names: tuple[str, ...] | None = getattr(kind, "__mypyc_attrs__", None)
    if names is None:
        return copy(original)
    twin = kind.__new__(kind)
    try:
        values = _getter(names)(original)
    except AttributeError:
        # Some of them have no value yet.
        names = tuple(name for name in names if hasattr(original, name))
        values = tuple(getattr(original, name) for name in names)
    for name, value in zip(names, values, strict=True):
        setattr(twin, name, value)
    return twin


@cache
def _getter(names: tuple[str, ...]) -> Callable[[object], tuple[object, ...]]:
    return attrgetter(*names)
