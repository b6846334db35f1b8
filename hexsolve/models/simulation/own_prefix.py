"""What a workflow's own complete calls have left of a prompt, wherever it was evicted since."""

from hexsolve.models.simulation.calls import DONE, RevealedCall
from hexsolve.models.simulation.prefixes import PrefixTree


def own_prefix(tree: PrefixTree, call: RevealedCall) -> tuple[int, int]:
    """Return the leading tokens of a prompt that complete calls of its own workflow share with it.

    First those that were prefilled, then those that a decode instance held: the prompts of calls
    that decoded, and what they generated except for the last token. A mixed instance holds both.
    That is what is cached when the workflow is alone on a large cluster, as the standalone horizon
    has it. Looked at are the calls that the prompt goes back to, the parents, and for a text at its
    root all complete calls. Cost: those, and one look at each call of the workflow.
    """
    first = call.number - call.index
    complete = {other.number: other for other in call.workflow.calls if other.stage == DONE}
    if not complete:
        return 0, 0
    paths = tree.paths
    prefilled = kept = 0
    candidates: list[tuple[RevealedCall, int]] = []
    for parent in call.parents:
        other = complete[first + parent]
        candidates.append((other, tree.common(other.number, call.number)))
    path = paths[call.number]
    while path.origin >= 0:
        origin = complete.get(path.origin)
        if origin is not None:
            candidates.append((origin, path.start))
            if origin.emitted > 1:
                # It held all that it shares with those farther up, and shares more.
                break
        path = paths[path.origin]
    root = paths[call.number].root
    if root:
        candidates += [(other, min(root, paths[number].root)) for number, other in complete.items()]
    for other, shared in candidates:
        generated = other.prompt_tokens + max(0, other.emitted - 1)
        mixed = other.prefill == other.decode
        prefilled = max(prefilled, min(shared, generated if mixed else other.prompt_tokens))
        if mixed or other.emitted > 1:
            kept = max(kept, min(shared, generated))
    return min(prefilled, call.length), min(kept, call.length)
