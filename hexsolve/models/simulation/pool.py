"""One instance's KV pool and prefix cache, without per-block or per-token work."""

from collections import deque
from heapq import heappop, heappush

from hexsolve.models.simulation.prefixes import NO_ORIGIN, PrefixTree


class _Run:
    """Present tokens `low`…`end` of the path of call (or root text) `tip`.

    What is present is closed under prefixes, so `parent` is the run that holds the token before.
    Tokens go from the end. Runs that continue this one from a position, and active calls, need it
    up to there: what lies before the last of them (`covered`, where `pins` of them end; `lower`
    counts the others) cannot be evicted. `stamps` is a staircase of (position, stamp), positions
    ascending and stamps descending: a token's stamp is that of the first entry beyond it.
    """

    __slots__ = ("covered", "end", "low", "lower", "parent", "pins", "stamps", "tip")

    def __init__(self, tip: int, low: int, end: int, parent: "_Run | None") -> None:
        self.tip = tip
        self.low = low
        self.end = end
        self.parent = parent
        self.covered = low
        self.pins = 0
        self.lower: dict[int, int] | None = None
        self.stamps: list[tuple[int, int]] = []
        if parent is not None:
            parent.attach(low)

    def attach(self, position: int) -> None:
        if position == self.covered and self.pins:
            self.pins += 1
            return
        count = 1
        if position > self.covered:
            position, count, self.covered, self.pins = self.covered, self.pins, position, 1
        if count:
            if self.lower is None:
                self.lower = {}
            self.lower[position] = self.lower.get(position, 0) + count

    def detach(self, position: int) -> None:
        lower = self.lower
        if position == self.covered and self.pins:
            self.pins -= 1
            if not self.pins:
                if lower:
                    self.covered = max(lower)
                    self.pins = lower.pop(self.covered)
                else:
                    self.covered = self.low
            return
        assert lower is not None, "it was attached there"
        lower[position] -= 1
        if not lower[position]:
            del lower[position]

    def used_at(self, position: int, stamp: int) -> None:
        """Tokens before `position` were used at `stamp` or later."""
        stamps = self.stamps
        if not stamps or (stamps[-1][0] <= position and stamps[-1][1] <= stamp):
            # The common case: the newest use reaches furthest.
            while stamps and stamps[-1][1] <= stamp:
                stamps.pop()
            stamps.append((position, stamp))
            return
        kept = [entry for entry in stamps if entry[0] > position or entry[1] > stamp]
        for index, (other, newer) in enumerate(kept):
            if other >= position:
                if newer < stamp:
                    kept.insert(index, (position, stamp))
                break
        else:
            kept.append((position, stamp))
        self.stamps = kept


class KVPool:
    """Tokens present on an instance: pinned by active calls, or cache in order of last use.

    A hold adds at most one run, however many calls its path goes through. Stamps of whole paths are
    never written down: a run that continues another carries a stamp no newer than that, so a stamp
    moves to the parent only once everything behind it is evicted. Which tokens are pinned follows
    from the few active calls of the same workflow, since paths form a tree: a new path shares with
    the union of the others what it shares with the nearest one.

    `used` may exceed `capacity` until `evict` is called: nobody looks at the cache in between.
    """

    __slots__ = (
        "_active",
        "_clock",
        "_count",
        "_exposed",
        "_hidden",
        "_keep",
        "_line",
        "_roots",
        "_runs",
        "_serial",
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
        self._serial = 0
        # A run is found under each call of its tip's path whose own tokens begin in it …
        self._runs: dict[int, _Run] = {}
        # … and, if it begins amid the tokens of one, among its workflow's.
        self._hidden: dict[int, list[_Run]] = {}
        # workflow -> its runs
        self._count: dict[int, int] = {}
        # Runs whose ends can be evicted, under the stamp of their last token then. Released ones
        # come with ever newer stamps and stand in line; `_exposed` is a heap of what came to light
        # out of turn. Entries whose run was used again since are stale.
        self._line: deque[tuple[int, _Run]] = deque()
        self._exposed: list[tuple[int, int, _Run]] = []
        # workflow -> {active call: (tokens of its path that it holds, run of the last one)}
        self._active: dict[int, dict[int, tuple[int, _Run]]] = {}
        # root text -> {leading tokens held: calls that hold as many}
        self._roots: dict[int, dict[int, int]] = {}

    def match(self, call: int, limit: int) -> int:
        """Return how many leading tokens of the call's path, up to `limit`, are present."""
        tree = self._tree
        if tree.workflow_of[call] not in self._count and not tree.root[call]:
            return 0
        return self._locate(call, limit)[0]

    def unpinned(self, call: int, upto: int) -> int:
        """Return how many tokens of the call's path up to `upto` no active call holds."""
        tree = self._tree
        shared = 0
        others = self._active.get(tree.workflow_of[call])
        if others:
            for other, (held, _) in others.items():
                common = held if other == call else tree.common(call, other)
                if common > held:
                    common = held
                if common > shared:
                    shared = common
        root = tree.root[call]
        if root > shared:
            lengths = self._roots.get(tree.text[call])
            if lengths:
                shared = max(shared, min(root, max(lengths)))
        return upto - shared if upto > shared else 0

    def hold(self, call: int, upto: int) -> int:
        """Pin the call's path up to `upto`; return how many of its tokens were present before.

        A call that becomes active takes at least what is present of its path; an active one may
        only hold more.
        """
        if self.used > self.capacity:
            # Not needed yet, but what is kept beyond the pool would grow with the run.
            self.evict()
        tree = self._tree
        workflow = tree.workflow_of[call]
        if workflow not in self._count and tree.origin[call] == NO_ORIGIN:
            # The first call here of its workflow, and it starts with nothing of another's.
            self._hold_new(call, workflow, upto)
            return 0
        found, run = self._locate(call, upto)
        present = found
        self.pinned += self.unpinned(call, upto)
        self.used += upto - present
        group = self._active.get(workflow)
        if group is None:
            group = self._active[workflow] = {}
        before = group.get(call)
        root = tree.root[call]
        if root:
            self._hold_root(call, before[0] if before else 0, upto)
        if upto > present:
            if root > present:
                present = min(root, upto)
                run = self._grow_root(tree.text[call], present)
            if upto > present:
                run = self._continue(call, run, present, upto)
        assert run is not None
        run.attach(upto)
        group[call] = (upto, run)
        if before is not None:
            before[1].detach(before[0])
        return found

    def _hold_new(self, call: int, workflow: int, upto: int) -> None:
        """Do what `hold` does where that is a single new run without a parent."""
        self.pinned += upto
        self.used += upto
        run = _Run(call, 0, upto, None)
        run.covered = upto
        run.pins = 1
        self._runs[call] = run
        self._count[workflow] = 1
        # Others of the workflow may be active and hold nothing but root text.
        self._active.setdefault(workflow, {})[call] = (upto, run)

    def grow(self, tokens: int) -> None:
        """Pin `tokens` more at the ends of active calls; `release` is told each one's length."""
        self.pinned += tokens
        self.used += tokens

    def release(self, call: int, length: int) -> None:
        """End the stay of an active call whose path is `length` tokens long by now."""
        tree = self._tree
        workflow = tree.workflow_of[call]
        group = self._active[workflow]
        held, run = group.pop(call)
        if group or tree.root[call]:
            if tree.root[call]:
                self._hold_root(call, held, 0)
            self.pinned -= self.unpinned(call, length)
        else:
            self.pinned -= length
        if not group:
            del self._active[workflow]
        if length > held > tree.start[call] and run.tip == call and run.end == held:
            # It only adds tokens of its own at the end of its own run.
            run.end = length
            run.detach(held)
        elif length > held:
            grown = self._continue(call, run, held, length)
            run.detach(held)
            run = grown
        else:
            run.detach(held)
        if not self._keep:
            self.used -= length
            self._forget(run)
            return
        self._clock = stamp = self._clock + 1
        run.used_at(length, stamp)
        if run.end > run.covered:
            if run.stamps[-1][1] == stamp:
                self._line.append((stamp, run))
            else:
                self._expose(run)

    def evict(self) -> None:
        """Drop the cache tokens used longest ago until the rest fits.

        This can wait until somebody asks what is present: what is released meanwhile is newer
        than all that has to go.
        """
        tokens = self.used - self.capacity
        if tokens <= 0:
            return
        self.used = self.capacity
        self.evicted += tokens
        exposed, line = self._exposed, self._line
        while tokens:
            in_line = not exposed
            if in_line:
                stamp, run = line[0]
            else:
                stamp, _, run = exposed[0]
                if line and line[0][0] <= stamp:
                    in_line = True
                    stamp, run = line[0]
            stamps = run.stamps
            if not stamps or stamps[-1][1] != stamp:
                if in_line:
                    line.popleft()
                else:
                    heappop(exposed)
                continue
            floor = run.covered
            if len(stamps) > 1 and stamps[-2][0] > floor:
                floor = stamps[-2][0]
            loose = run.end - floor
            if loose > tokens:
                run.end -= tokens
                stamps[-1] = (run.end, stamp)
                break
            if in_line:
                line.popleft()
            else:
                heappop(exposed)
            if loose <= 0:
                continue
            tokens -= loose
            run.end = floor
            if floor == run.low:
                self._remove(run, stamp)
                continue
            if len(stamps) > 1 and stamps[-2][0] >= floor:
                stamps.pop()
            else:
                stamps[-1] = (floor, stamp)
            if floor > run.covered:
                self._expose(run)

    def clear(self) -> None:
        """Forget everything: the instance failed."""
        self.used = self.pinned = 0
        self._runs.clear()
        self._hidden.clear()
        self._count.clear()
        self._exposed.clear()
        self._line.clear()
        self._active.clear()
        self._roots.clear()

    def clone(self, tree: PrefixTree) -> "KVPool":
        """Return an independent copy over `tree`."""
        other = KVPool(self.capacity, tree, self._keep)
        other.used, other.pinned, other.evicted = self.used, self.pinned, self.evicted
        other._clock, other._serial = self._clock, self._serial
        copies: dict[int, _Run] = {}

        def copy(run: _Run) -> _Run:
            """Copy a run and, before it, its ancestors."""
            chain = []
            above: _Run | None = run
            while above is not None and id(above) not in copies:
                chain.append(above)
                above = above.parent
            for each in reversed(chain):
                twin = _Run(each.tip, each.low, each.end, None)
                twin.parent = copies[id(each.parent)] if each.parent is not None else None
                twin.covered, twin.pins = each.covered, each.pins
                twin.lower = each.lower.copy() if each.lower else None
                twin.stamps = each.stamps.copy()
                copies[id(each)] = twin
            return copies[id(run)]

        other._runs = {tip: copy(run) for tip, run in self._runs.items()}
        other._hidden = {key: [copy(run) for run in runs] for key, runs in self._hidden.items()}
        other._active = {
            key: {call: (held, copy(run)) for call, (held, run) in group.items()}
            for key, group in self._active.items()
        }
        other._line = deque(
            (stamp, copies[id(run)]) for stamp, run in self._line if id(run) in copies
        )
        other._exposed = [
            (stamp, serial, copies[id(run)])
            for stamp, serial, run in self._exposed
            if id(run) in copies
        ]
        other._exposed.sort(key=lambda entry: entry[:2])
        other._count = self._count.copy()
        other._roots = {key: lengths.copy() for key, lengths in self._roots.items()}
        return other

    # ------------------------------------------------------------------ runs

    def _locate(self, call: int, limit: int) -> tuple[int, _Run | None]:
        """Return how much of the call's path is present, and the run of the last token."""
        if self.used > self.capacity:
            self.evict()
        runs = self._runs
        tree = self._tree
        start, origin = tree.start, tree.origin
        found: _Run | None = None
        present, reach, owner = 0, limit, call
        workflow = tree.workflow_of[call]
        if workflow not in self._count:
            if not tree.root[call]:
                return 0, None
            reach, owner = min(limit, tree.root[call]), tree.text[call]
        while True:
            run = runs.get(owner)
            begin = start[owner] if owner >= 0 else 0
            if run is not None and reach > begin and run.end > begin:
                found = run
                present = reach if reach < run.end else run.end
                if run.tip != owner and owner >= 0:
                    present = min(present, tree.common(owner, run.tip))
                break
            if not begin:
                break
            if begin < reach:
                reach = begin
            owner = origin[owner]
        if present < limit:
            hidden = self._hidden.get(workflow)
            if hidden:
                for run in hidden:
                    if run.end > present and run.low < limit:
                        reach = min(min(limit, run.end), tree.common(call, run.tip))
                        if reach > present and reach > run.low:
                            present, found = reach, run
        return present, found

    def _continue(self, call: int, run: _Run | None, present: int, upto: int) -> _Run:
        """Make tokens `present`…`upto` of the call's path present; `run` holds the one before."""
        tree, runs = self._tree, self._runs
        if run is not None and run.tip == call and run.end == present:
            run.end = upto
        else:
            run = _Run(call, present, upto, run)
            workflow = tree.workflow_of[call]
            self._count[workflow] = self._count.get(workflow, 0) + 1
        start, origin = tree.start, tree.origin
        owner, first = call, -1
        while owner >= 0 and start[owner] >= present:
            runs[owner] = run
            first = start[owner]
            owner = origin[owner]
        if run.low == present and first != present:
            self._hidden.setdefault(tree.workflow_of[call], []).append(run)
        return run

    def _grow_root(self, text: int, upto: int) -> _Run:
        """Make the first `upto` tokens of a root text present."""
        run = self._runs.get(text)
        if run is None:
            run = self._runs[text] = _Run(text, 0, upto, None)
        else:
            run.end = upto
        return run

    def _expose(self, run: _Run) -> None:
        """Enter a run whose end came to light out of turn, under the stamp of its last token."""
        self._serial += 1
        heappush(self._exposed, (run.stamps[-1][1], self._serial, run))

    def _forget(self, run: _Run) -> None:
        runs, tip, low = self._runs, run.tip, run.low
        if tip < 0:
            del runs[tip]
            return
        tree = self._tree
        start, origin = tree.start, tree.origin
        owner = tip
        while owner >= 0 and start[owner] >= low:
            if runs.get(owner) is run:
                del runs[owner]
            owner = origin[owner]
        workflow = tree.workflow_of[tip]
        if self._count[workflow] > 1:
            self._count[workflow] -= 1
        else:
            del self._count[workflow]
        hidden = self._hidden.get(workflow) if self._hidden else None
        if hidden and run in hidden:
            hidden.remove(run)
            if not hidden:
                del self._hidden[workflow]

    def _remove(self, run: _Run, stamp: int) -> None:
        """Forget an emptied run; its parent inherits its stamp and may be exposed now."""
        self._forget(run)
        run.stamps.clear()
        parent = run.parent
        if parent is None:
            return
        parent.detach(run.low)
        parent.used_at(run.low, stamp)
        if parent.end > parent.covered:
            self._expose(parent)

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
