"""Looking names up: case, underscores, organisation prefixes and usual suffixes do not matter."""

from collections.abc import Iterable
from difflib import get_close_matches

from hexsolve.models.errors import InputError, allowed

_SUFFIXES = ("-instruct", "-chat", "-hf", "-it", "-base")


def key(name: str) -> str:
    """Return the form under which a name is looked up.

    ``meta-llama/Llama-3.1-8B-Instruct`` and ``LLAMA_3.1_8B`` both become ``llama-3.1-8b``.
    """
    short = name.strip().rsplit("/", 1)[-1].lower().replace("_", "-").replace(" ", "-")
    for suffix in _SUFFIXES:
        short = short.removesuffix(suffix)
    return short


class Names:
    """Canonical names by name or alias.

    Parameters
    ----------
    kind : str
        What is named, for error messages: ``"GPU type"``.
    entries : iterable of (name, aliases)
        Later entries win, so that a user's own definition replaces a shipped one.
    """

    def __init__(self, kind: str, entries: Iterable[tuple[str, tuple[str, ...]]]):
        self._kind = kind
        self._names: list[str] = []
        self._canonical: dict[str, str] = {}
        listed = list(entries)
        for name, aliases in listed:
            self._names.append(name)
            for alias in aliases:
                self._canonical[key(alias)] = name
        for name, _ in listed:
            self._canonical[key(name)] = name

    def find(self, name: str) -> str | None:
        """Return the canonical name, or None."""
        return self._canonical.get(key(name))

    def resolve(self, name: str, *, source: str | None = None, field: str | None = None) -> str:
        """Return the canonical name.

        Raises
        ------
        InputError
            The name is unknown; the message lists what exists and the closest names.
        """
        found = self.find(name)
        if found is not None:
            return found
        near = get_close_matches(key(name), self._canonical, n=1, cutoff=0.7)
        hint = f"; did you mean {self._canonical[near[0]]!r}?" if near else ""
        raise InputError(
            f"unknown {self._kind} {name!r}; allowed: {allowed(sorted(self._names), 60)}{hint}",
            source=source,
            field=field,
        )
