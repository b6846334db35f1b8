"""Which tokens calls share: the prefix tree of a workload as two integers per call."""

from typing import Final

from mypy_extensions import mypyc_attr

from hexsolve.models.workflow import Call, Workflow

# Machine integers that the compiler knows.
NO_ORIGIN: Final = -(1 << 60)
UNBOUNDED: Final = 1 << 60


@mypyc_attr(acyclic=True)
class Path:
    """A call's tokens: a piece of its origin's, then its own from `start` on.

    `origin` is the owner of token ``start − 1``: another call's number, a root text (negative), or
    `NO_ORIGIN`. The first `root` tokens belong to root text `text`.
    """

    __slots__ = ("origin", "root", "start", "text", "workflow")

    def __init__(self, workflow: int) -> None:
        self.workflow = workflow
        self.origin = NO_ORIGIN
        self.start = 0
        self.root = 0
        self.text = NO_ORIGIN


class PrefixTree:
    """The paths of all calls by number; along origins the starts strictly decrease.

    One object per call, as columns would be five places in memory.
    """

    __slots__ = ("_caching", "_roots", "paths")

    def __init__(self, calls: int, caching: bool) -> None:
        self.paths: list[Path] = [Path(-1)] * calls
        self._roots: dict[str, int] = {}
        self._caching = caching

    def add(self, number: int, workflow: Workflow, first: int) -> None:
        """Enter all calls of workflow `number`, whose calls are numbered from `first`."""
        paths = self.paths
        text = self._root_text(workflow.prefix_group, number)
        for index, call in enumerate(workflow.calls, first):
            path = paths[index] = Path(number)
            tokens: int = call.prefix_tokens
            if not self._caching or not tokens:
                continue
            if call.prefix_call < 0:
                path.origin = path.text = text
                path.start = path.root = tokens
                continue
            source = first + call.prefix_call
            above = paths[source]
            shared = self._shared(workflow.calls, index - first, first)
            path.start = shared
            path.root = min(shared, above.root)
            path.text = above.text
            while source >= 0 and paths[source].start >= shared:
                source = paths[source].origin
            path.origin = source

    def _shared(self, calls: tuple[Call, ...], index: int, first: int) -> int:
        """Return the tokens that call `index` shares with its `prefix_call`.

        What a call generates is shared with its descendants only: others may be prefilled before
        it exists. A descendant of `prefix_call` descends from all whose tokens that contains.
        """
        call = calls[index]
        shared = call.prefix_tokens
        source = call.prefix_call
        if shared <= calls[source].prompt_tokens and self.paths[first + source].origin < 0:
            return shared
        if _descends(calls, index, source):
            return shared
        owner, limit = first + source, shared
        while owner >= 0:
            prompt = calls[owner - first].prompt_tokens
            if limit > prompt and not _descends(calls, index, owner - first):
                shared = min(shared, max(prompt, self.paths[owner].start))
            limit = min(limit, self.paths[owner].start)
            owner = self.paths[owner].origin
        return shared

    def _root_text(self, group: str, workflow: int) -> int:
        # Even negatives for groups, odd ones for workflows without one.
        if not group:
            return -2 * workflow - 1
        return self._roots.setdefault(group, -2 * len(self._roots) - 2)

    def common(self, one: int, other: int) -> int:
        """Return how many leading tokens two calls share."""
        paths = self.paths
        shared = UNBOUNDED
        while one != other:
            a = paths[one].start if one >= 0 else -1
            b = paths[other].start if other >= 0 else -1
            if a >= b:
                if a <= 0:
                    return 0
                shared = min(shared, a)
                one = paths[one].origin
            else:
                shared = min(shared, b)
                other = paths[other].origin
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
