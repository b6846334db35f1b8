"""Shallow copies of the simulator's objects, compiled or not."""

from copy import copy
from typing import TypeVar

T = TypeVar("T")


def shallow(original: T) -> T:
    """Return a new object with the same attributes.

    `copy.copy` leaves out the attributes of compiled classes, which name them all in
    ``__mypyc_attrs__``; they must allow subclasses, or ``__new__`` would call ``__init__``.
    """
    names = getattr(type(original), "__mypyc_attrs__", None)
    if names is None:
        return copy(original)
    twin = type(original).__new__(type(original))
    for name in names:
        if hasattr(original, name):
            setattr(twin, name, getattr(original, name))
    return twin
