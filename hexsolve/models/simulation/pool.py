"""One instance's KV pool and prefix cache, without per-block or per-token work."""

from heapq import heappop, heappush

from hexsolve.models.simulation.prefixes import PrefixTree


class _Run:
    """The present tokens of one owner: from its own start up to `end`.

    What is present is closed under prefixes and is evicted from the ends, so one number per owner
    says which of its tokens are present. `stamps` is a staircase of (position, stamp), positions
    ascending and stamps descending: a token's stamp is the first entry's beyond it.
    `attached` counts what needs this run up to a position: runs that branch off there, and the
    owner itself while active. What lies before the last of them (`covered`) cannot be evicted.
    """

    __slots__ = ("attached", "covered", "end", "stamps")

    def __init__(self, end: int) -> None:
        self.end = end
        self.attached: dict[int, int] = {}
        self.covered = 0
        self.stamps: list[tuple[int, int]] = []

    def attach(self, position: int) -> None:
        self.attached[position] = self.attached.get(position, 0) + 1
        if position > self.covered:
            self.covered = position

    def detach(self, position: int) -> None:
        attached = self.attached
        if attached[position] > 1:
            attached[position] -= 1
            return
        del attached[position]
        if position == self.covered:
            self.covered = max(attached) if attached else 0


class KVPool:
    """Tokens present on an instance: pinned by active calls, or cache in order of last use.

    Stamps of whole paths are never written down: a run that continues another carries a stamp at
    least as new, so a stamp moves to the origin only once everything behind it is evicted. Which
    tokens are pinned follows from the few active calls of the same workflow, since paths form a
    tree: a new path shares with the union of the others what it shares with the nearest one.
    """

    __slots__ = (
        "_active",
        "_clock",
        "_exposed",
        "_keep",
        "_roots",
        "_runs",
        "_tree",
        "capacity",
        "evicted",
        "pinned",
        "used",
    )

    def __init__(self, capacity: int, tree: PrefixTree, caching: bool) -> None:
        self.capacity = capacity
        self.used = 0
        self.pinned = 0
        self.evicted = 0
        self._tree = tree
        self._keep = caching
        self._clock = 0
        self._runs: dict[int, _Run] = {}
        self._exposed: list[tuple[int, int]] = []
        # workflow -> {active call: tokens of its path that it holds}
        self._active: dict[int, dict[int, int]] = {}
        # root text -> {leading tokens held: calls that hold as many}
        self._roots: dict[int, dict[int, int]] = {}

    def match(self, call: int, limit: int) -> int:
        """Return how many leading tokens of the call's path, up to `limit`, are present."""
        runs = self._runs
        start, origin = self._tree.start, self._tree.origin
        owner = call
        while True:
            begin = start[owner] if owner >= 0 else 0
            if limit > begin:
                run = runs.get(owner)
                if run is not None and run.end > begin:
                    return min(limit, run.end)
                limit = begin
            if owner < 0 or begin == 0:
                return 0
            owner = origin[owner]

    def unpinned(self, call: int, upto: int) -> int:
        """Return how many tokens of the call's path up to `upto` no active call holds."""
        tree = self._tree
        shared = 0
        others = self._active.get(tree.workflow_of[call])
        if others:
            for other, held in others.items():
                common = held if other == call else tree.common(call, other)
                if common > held:
                    common = held
                if common > shared:
                    shared = common
        root = tree.root[call]
        if root > shared:
            lengths = self._roots.get(tree.text[call])
            if lengths:
                longest = max(lengths)
                shared = max(shared, min(root, longest))
        return upto - shared if upto > shared else 0

    def hold(self, call: int, upto: int) -> int:
        """Pin the call's path up to `upto`; return how many of its tokens were present before.

        A call that becomes active takes at least what is present of its path; an active one may
        only hold more.
        """
        fresh = self.unpinned(call, upto)
        present = self.match(call, upto)
        tree = self._tree
        group = self._active.get(tree.workflow_of[call])
        if group is None:
            group = self._active[tree.workflow_of[call]] = {}
        before = group.get(call, 0)
        group[call] = upto
        if tree.root[call]:
            self._hold_root(call, before, upto)
        self._extend(call, present, upto)
        self._runs[self._owner(call, upto)].attach(upto)
        if before:
            self._runs[self._owner(call, before)].detach(before)
        self.pinned += fresh
        self.used += upto - present
        if self.used > self.capacity:
            self.evict(self.used - self.capacity)
        return present

    def grow(self, tokens: int) -> None:
        """Pin `tokens` more at the ends of active calls; `release` is told each one's length."""
        self.pinned += tokens
        self.used += tokens
        if self.used > self.capacity:
            self.evict(self.used - self.capacity)

    def release(self, call: int, length: int) -> None:
        """End the stay of an active call whose path is `length` tokens long by now."""
        tree = self._tree
        workflow = tree.workflow_of[call]
        group = self._active[workflow]
        held = group.pop(call)
        if not group:
            del self._active[workflow]
        if tree.root[call]:
            self._hold_root(call, held, 0)
        self.pinned -= self.unpinned(call, length)
        if length > held:
            self._extend(call, held, length)
        self._runs[self._owner(call, held)].detach(held)
        owner = self._owner(call, length)
        run = self._runs[owner]
        if not self._keep:
            self.used -= run.end
            del self._runs[call]
            return
        self._clock += 1
        self._inherit(run, length, self._clock)
        if run.end > run.covered:
            heappush(self._exposed, (run.stamps[-1][1], owner))

    def evict(self, tokens: int) -> None:
        """Drop the `tokens` cache tokens that were used longest ago."""
        self.used -= tokens
        self.evicted += tokens
        runs, exposed = self._runs, self._exposed
        while tokens:
            stamp, owner = exposed[0]
            run = runs.get(owner)
            if run is None or not run.stamps or run.stamps[-1][1] != stamp:
                heappop(exposed)
                continue
            begin = self._tree.start[owner] if owner >= 0 else 0
            floor = max(begin, run.covered)
            if len(run.stamps) > 1 and run.stamps[-2][0] > floor:
                floor = run.stamps[-2][0]
            loose = run.end - floor
            if loose <= 0:
                heappop(exposed)
                continue
            if loose > tokens:
                run.end -= tokens
                run.stamps[-1] = (run.end, stamp)
                return
            tokens -= loose
            heappop(exposed)
            self._cut(owner, run, floor, stamp)

    def clear(self) -> None:
        """Forget everything: the instance failed."""
        self.used = self.pinned = 0
        self._runs.clear()
        self._exposed.clear()
        self._active.clear()
        self._roots.clear()

    def clone(self, tree: PrefixTree) -> "KVPool":
        """Return an independent copy over `tree`."""
        other = KVPool(self.capacity, tree, self._keep)
        other.used, other.pinned, other.evicted = self.used, self.pinned, self.evicted
        other._clock = self._clock
        other._exposed = self._exposed.copy()
        other._active = {key: held.copy() for key, held in self._active.items()}
        other._roots = {key: lengths.copy() for key, lengths in self._roots.items()}
        runs = other._runs
        for owner, run in self._runs.items():
            copy = _Run(run.end)
            copy.covered = run.covered
            copy.attached = run.attached.copy() if run.attached else {}
            copy.stamps = run.stamps.copy()
            runs[owner] = copy
        return other

    # ------------------------------------------------------------------ runs

    def _owner(self, call: int, length: int) -> int:
        """Return the owner of the last of the first `length` tokens of the call's path."""
        start = self._tree.start
        while call >= 0 and start[call] >= length:
            call = self._tree.origin[call]
        return call

    def _extend(self, call: int, present: int, upto: int) -> None:
        """Make tokens `present`…`upto` of the call's path present."""
        runs = self._runs
        start, origin = self._tree.start, self._tree.origin
        owner = self._owner(call, upto)
        branch = -1
        while upto > present or branch >= 0:
            run = runs.get(owner)
            begin = start[owner] if owner >= 0 else 0
            new = run is None
            if run is None:
                run = runs[owner] = _Run(upto)
            elif upto > run.end:
                run.end = upto
            if branch >= 0:
                run.attach(branch)
            if not new or not begin:
                return
            upto = branch = begin
            owner = origin[owner]

    def _cut(self, owner: int, run: _Run, floor: int, stamp: int) -> None:
        """Let `run` end at `floor` once its tail with `stamp` is gone."""
        run.end = floor
        stamps = run.stamps
        if len(stamps) > 1 and stamps[-2][0] >= floor:
            stamps.pop()
            run.end = floor
        else:
            stamps[-1] = (floor, stamp)
        begin = self._tree.start[owner] if owner >= 0 else 0
        if floor > begin:
            if floor > run.covered:
                heappush(self._exposed, (stamps[-1][1], owner))
        else:
            self._remove(owner, stamp)

    def _remove(self, owner: int, stamp: int) -> None:
        """Forget an emptied run; its origin inherits its stamp and may be exposed now."""
        del self._runs[owner]
        position = self._tree.start[owner] if owner >= 0 else 0
        if not position:
            return
        origin = self._tree.origin[owner]
        run = self._runs[origin]
        run.detach(position)
        self._inherit(run, position, stamp)
        if run.end > run.covered:
            heappush(self._exposed, (run.stamps[-1][1], origin))

    @staticmethod
    def _inherit(run: _Run, position: int, stamp: int) -> None:
        """Tokens of `run` before `position` were used at `stamp` or later."""
        stamps = run.stamps
        kept = [entry for entry in stamps if entry[0] > position or entry[1] > stamp]
        for index, (other, newer) in enumerate(kept):
            if other >= position:
                if newer < stamp:
                    kept.insert(index, (position, stamp))
                break
        else:
            kept.append((position, stamp))
        run.stamps = kept

    # ------------------------------------------------------------------ roots

    def _hold_root(self, call: int, before: int, after: int) -> None:
        """Let an active call hold `after` tokens, not `before`, as far as they are root text."""
        root = self._tree.root[call]
        before, after = min(root, before), min(root, after)
        if before == after:
            return
        lengths = self._roots.setdefault(self._tree.text[call], {})
        if before:
            lengths[before] -= 1
            if not lengths[before]:
                del lengths[before]
        if after:
            lengths[after] = lengths.get(after, 0) + 1
