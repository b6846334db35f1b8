"""How much of each call's prompt another call can have put on the same instance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hexsolve.models.simulation.prefixes import PrefixTree
from hexsolve.models.workflow import Workflow

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sharing:
    """Tokens of each call's path that other calls may hold, shape (n,).

    Attributes
    ----------
    prompt : int array
        Leading prompt tokens that the prompt of a call which is no descendant contains.
    anywhere : int array
        The same for its whole path, prompt and generated tokens whose KV it has.
    together : int array
        The same for calls that can be active at the same time: neither ancestor nor descendant.
    relief : int array, shape (r, 2)
        Pairs (call, other): some token in `prompt` … `anywhere` is `other`'s own.
    """

    prompt: Ints
    anywhere: Ints
    together: Ints
    relief: Ints


def sharing(workflows: Sequence[Workflow], caching: bool) -> Sharing:
    """Return what calls share, in the order of `workflows` and their calls.

    A call covers the tokens of its own up to its length and, along its origins, theirs up to
    where it leaves them; what it covers of an owner's tokens it covers from their beginning. So
    the longest shared prefix of a call's path ends in the last of its pieces that anybody else
    covers beyond the piece's first token.
    """
    total = sum(len(workflow.calls) for workflow in workflows)
    tree = PrefixTree(total, caching)
    first = 0
    prompts: list[int] = []
    lengths: list[int] = []
    relatives: list[tuple[int, int]] = []
    starts: list[int] = []
    for number, workflow in enumerate(workflows):
        tree.add(number, workflow, first)
        prompts += [call.prompt_tokens for call in workflow.calls]
        lengths += [call.prompt_tokens + max(0, call.output_tokens - 1) for call in workflow.calls]
        relatives += _relatives(workflow)
        starts += [first] * len(workflow.calls)
        first += len(workflow.calls)
    by_prompt, by_path = _coverage(tree, prompts), _coverage(tree, lengths)

    def longest(
        call: int, limit: int, coverage: dict[int, list[tuple[int, int]]], excluded: int
    ) -> int:
        """Return the longest prefix covered by others; `excluded` are bits of its workflow."""
        base, size = starts[call], len(workflows[tree.paths[call].workflow].calls)
        owner, upto = call, limit
        while True:
            begin = tree.paths[owner].start if owner >= 0 else 0
            for end, other in coverage.get(owner, ()):
                if end <= begin:
                    break
                place = other - base
                if 0 <= place < size and (other == call or excluded >> place & 1):
                    continue
                return min(end, upto)
            if owner < 0 or begin <= 0:
                return 0
            owner, upto = tree.paths[owner].origin, min(upto, begin)

    prompt, anywhere, together = [], [], []
    relief: list[tuple[int, int]] = []
    for call in range(total):
        ancestors, descendants = relatives[call]
        prompt.append(longest(call, prompts[call], by_prompt, descendants))
        anywhere.append(longest(call, prompts[call], by_path, descendants))
        together.append(longest(call, lengths[call], by_path, ancestors | descendants))
        if anywhere[call] > prompt[call]:
            owner, upto = call, anywhere[call]
            while owner >= 0 and upto > prompt[call]:
                if owner != call and upto > tree.paths[owner].start:
                    relief.append((call, owner))
                upto = min(upto, tree.paths[owner].start)
                owner = tree.paths[owner].origin
    return Sharing(
        np.array(prompt, dtype=np.int64),
        np.array(anywhere, dtype=np.int64),
        np.array(together, dtype=np.int64),
        np.array(relief, dtype=np.int64).reshape(-1, 2),
    )


def _coverage(tree: PrefixTree, lengths: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """Return, by owner of tokens, (position up to which, call that holds them), longest first."""
    coverage: dict[int, list[tuple[int, int]]] = {}
    for call, length in enumerate(lengths):
        owner, upto = call, length
        while True:
            begin = tree.paths[owner].start if owner >= 0 else 0
            if upto > begin:
                coverage.setdefault(owner, []).append((upto, call))
            if owner < 0 or begin <= 0:
                break
            owner, upto = tree.paths[owner].origin, min(upto, begin)
    for entries in coverage.values():
        entries.sort(key=lambda entry: (-entry[0], entry[1]))
    return coverage


def _relatives(workflow: Workflow) -> list[tuple[int, int]]:
    """Return (ancestors, descendants) of each call as bit sets of the workflow's calls."""
    ancestors: list[int] = []
    for call in workflow.calls:
        bits = 0
        for parent in call.parents:
            bits |= ancestors[parent] | 1 << parent
        ancestors.append(bits)
    descendants = [0] * len(ancestors)
    for index in range(len(ancestors) - 1, -1, -1):
        for parent in workflow.calls[index].parents:
            descendants[parent] |= descendants[index] | 1 << index
    return list(zip(ancestors, descendants, strict=True))


def widths(workflows: Sequence[Workflow]) -> int:
    """Return how many calls can be revealed and incomplete at once, at most.

    Calls of a chain never are; the calls of a workflow are covered by chains, greedily.
    """
    total = 0
    for workflow in workflows:
        ends: list[bool] = []
        for call in workflow.calls:
            for parent in call.parents:
                if ends[parent]:
                    ends[parent] = False
                    break
            ends.append(True)
        total += sum(ends)
    return total
