"""Token counts of texts whose tokenizer is not known."""

CHARACTERS_PER_TOKEN = 4.0
"""Characters of English or code per token: the usual rule of thumb for BPE vocabularies of
100,000 entries; real text lies between 3 (dense code, markup) and 5 (prose)."""


def estimated_tokens(characters: int) -> int:
    """Return characters / `CHARACTERS_PER_TOKEN`, rounded, at least 1."""
    return max(1, round(characters / CHARACTERS_PER_TOKEN))


def common_prefix(one: str, other: str) -> int:
    """Return the length of the longest common prefix, in characters.

    Bisection on slices: each comparison runs at memory speed, unlike a loop over characters.
    """
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
