"""Which earlier calls can have a call's prompt in the prefix cache, and how much of it."""

from hexsolve.models.simulation.prefixes import PrefixTree
from hexsolve.models.workflow import Workflow


class Sharing:
    """Shared tokens of one workflow's calls."""

    def __init__(self, workflow: Workflow, caching: bool) -> None:
        count = len(workflow.calls)
        self.workflow = workflow
        self.tree = PrefixTree(count, caching)
        self.tree.add(0, workflow, 0)
        self.ancestors: list[set[int]] = []
        for call in workflow.calls:
            above = set(call.parents)
            for parent in call.parents:
                above |= self.ancestors[parent]
            self.ancestors.append(above)

    def root(self, index: int) -> int:
        """Return the tokens of root text that other workflows share."""
        if not self.workflow.prefix_group:
            return 0
        return min(self.tree.paths[index].root, self.workflow.calls[index].prompt_tokens - 1)

    def prefilled(self, index: int, source: int) -> int:
        """Return what call `index` finds cached where `source` was prefilled."""
        calls = self.workflow.calls
        common = self.tree.common(index, source)
        return min(common, calls[source].prompt_tokens, calls[index].prompt_tokens - 1)

    def sources(self, index: int) -> tuple[int, int]:
        """Return the two calls that the nominal model looks at; −1 for none.

        The ancestor that shares most (of equal ones the last), and, if that shares more, the
        earlier call beside it that does (of equal ones the first).
        """
        most = self.root(index)
        above = beside = -1
        ranked = sorted(
            ((self.prefilled(index, other), other) for other in self.ancestors[index]),
            reverse=True,
        )
        if ranked and ranked[0][0] > most:
            most, above = ranked[0]
        others = [o for o in range(index) if o not in self.ancestors[index]]
        if others:
            shared, other = max((self.prefilled(index, o), -o) for o in others)
            if shared > most:
                beside = -other
        return above, beside

    def most_cached(self, index: int) -> int:
        """Return the most that any prefill instance can have of the prompt of `index`."""
        most = self.root(index)
        for other in range(len(self.workflow.calls)):
            if other != index and index not in self.ancestors[other]:
                most = max(most, self.prefilled(index, other))
        return most

    def most_shared(self, index: int) -> int:
        """Return the most of the prompt of `index` that others can have at a decode instance."""
        most = self.root(index)
        for other in range(len(self.workflow.calls)):
            if other != index:
                most = max(most, self.tree.common(index, other))
        return min(most, self.workflow.calls[index].prompt_tokens)
