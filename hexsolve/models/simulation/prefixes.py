"""Which tokens calls share: the prefix tree of a workload as two integers per call."""

from hexsolve.models.workflow import Call, Workflow

NO_ORIGIN = -(2**62)


class PrefixTree:
    """Every call's tokens as a piece of its origin's tokens followed by its own.

    `origin[c]` is the owner of token ``start[c] − 1`` of call c: another call's number, a root text
    (negative), or `NO_ORIGIN`; tokens from `start[c]` on are c's own. Along origins the starts
    strictly decrease. The first `root[c]` tokens belong to root text `text[c]`.
    """

    __slots__ = ("_caching", "_roots", "origin", "root", "start", "text", "workflow_of")

    def __init__(self, calls: int, caching: bool) -> None:
        self.origin: list[int] = [NO_ORIGIN] * calls
        self.start: list[int] = [0] * calls
        self.root: list[int] = [0] * calls
        self.text: list[int] = [NO_ORIGIN] * calls
        self.workflow_of: list[int] = [0] * calls
        self._roots: dict[str, int] = {}
        self._caching = caching

    def add(self, number: int, workflow: Workflow, first: int) -> None:
        """Enter all calls of workflow `number`, whose calls are numbered from `first`."""
        origin, start, root = self.origin, self.start, self.root
        text = self._root_text(workflow.prefix_group, number)
        for index, call in enumerate(workflow.calls, first):
            self.workflow_of[index] = number
            if not self._caching or not call.prefix_tokens:
                continue
            if call.prefix_call < 0:
                origin[index], start[index] = text, call.prefix_tokens
                root[index] = call.prefix_tokens
                self.text[index] = text
                continue
            source = first + call.prefix_call
            shared = self._shared(workflow.calls, index - first, first)
            start[index] = shared
            root[index] = min(shared, root[source])
            self.text[index] = self.text[source]
            while source >= 0 and start[source] >= shared:
                source = origin[source]
            origin[index] = source

    def _shared(self, calls: tuple[Call, ...], index: int, first: int) -> int:
        """Return the tokens that call `index` shares with its `prefix_call`.

        What a call generates is shared with its descendants only: others may be prefilled before
        it exists. A descendant of `prefix_call` descends from all whose tokens that contains.
        """
        call = calls[index]
        shared = call.prefix_tokens
        source = call.prefix_call
        if shared <= calls[source].prompt_tokens and self.origin[first + source] < 0:
            return shared
        if _descends(calls, index, source):
            return shared
        owner, limit = first + source, shared
        while owner >= 0:
            prompt = calls[owner - first].prompt_tokens
            if limit > prompt and not _descends(calls, index, owner - first):
                shared = min(shared, max(prompt, self.start[owner]))
            limit = min(limit, self.start[owner])
            owner = self.origin[owner]
        return shared

    def _root_text(self, group: str, workflow: int) -> int:
        # Even negatives for groups, odd ones for workflows without one.
        if not group:
            return -2 * workflow - 1
        return self._roots.setdefault(group, -2 * len(self._roots) - 2)

    def common(self, one: int, other: int) -> int:
        """Return how many leading tokens two calls share."""
        origin, start = self.origin, self.start
        shared = 2**62
        while one != other:
            a = start[one] if one >= 0 else -1
            b = start[other] if other >= 0 else -1
            if a >= b:
                if a <= 0:
                    return 0
                shared = min(shared, a)
                one = origin[one]
            else:
                shared = min(shared, b)
                other = origin[other]
        return shared


def _descends(calls: tuple[Call, ...], index: int, ancestor: int) -> bool:
    parents = calls[index].parents
    if ancestor in parents:
        return True
    seen = set(parents)
    stack = [parent for parent in parents if parent > ancestor]
    while stack:
        for parent in calls[stack.pop()].parents:
            if parent == ancestor:
                return True
            if parent > ancestor and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return False
