"""Names that the schema allows."""

import re


class Names:
    """Gives out names, each once: the second ``turn`` is ``turn-2``."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def unique(self, wanted: str) -> str:
        """Return `wanted` with forbidden characters replaced, numbered from the second time on."""
        clean = re.sub(r"[^A-Za-z0-9._+/-]+", "-", wanted).strip("._+/-")[:60] or "class"
        name = clean
        while name in self._used:
            self._used[clean] += 1
            name = f"{clean}-{self._used[clean]}"
        self._used[name] = 1
        return name
