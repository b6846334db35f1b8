"""One instance's KV pool and prefix cache, without per-block or per-token work."""

from collections import deque
from heapq import heappop, heappush

from hexsolve.models.simulation.prefixes import NO_ORIGIN, PrefixTree
from hexsolve.models.simulation.runs import Family, Hold, RootText, TokenRun


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
        "_clock",
        "_exposed",
        "_families",
        "_keep",
        "_line",
        "_seen_call",
        "_seen_limit",
        "_seen_present",
        "_seen_run",
        "_serial",
        "_texts",
        "_token",
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
        # What bears another token is shared with a clone.
        self._token = object()
        # workflow -> what there is of it, if anything is present or active
        self._families: dict[int, Family] = {}
        # root text -> what there is of it
        self._texts: dict[int, RootText] = {}
        # Runs whose ends can be evicted, under the stamp of their last token then. Released ones
        # come with ever newer stamps and stand in line; `_exposed` is a heap of what came to light
        # out of turn. Entries whose run was used again since are stale.
        self._line: deque[tuple[int, TokenRun]] = deque()
        self._exposed: list[tuple[int, int, TokenRun]] = []
        # What `_locate` found last, as long as nothing changes: a match comes before most holds.
        self._seen_call = -1
        self._seen_limit = self._seen_present = 0
        self._seen_run: TokenRun | None = None

    def match(self, call: int, limit: int) -> int:
        """Return how many leading tokens of the call's path, up to `limit`, are present."""
        path = self._tree.paths[call]
        family = self._families.get(path.workflow)
        if (family is None or not family.count) and not path.root:
            return 0
        self._locate(family, call, limit)
        return self._seen_present

    def unpinned(self, call: int, upto: int) -> int:
        """Return how many tokens of the call's path up to `upto` no active call holds."""
        return self._unpinned(self._families.get(self._tree.paths[call].workflow), call, upto)

    def hold(self, call: int, upto: int) -> int:
        """Pin the call's path up to `upto`; return how many of its tokens were present before.

        A call that becomes active takes at least what is present of its path; an active one may
        only hold more.
        """
        if self.used > self.capacity:
            # Not needed yet, but what is kept beyond the pool would grow with the run.
            self.evict()
        path = self._tree.paths[call]
        family = self._own(path.workflow)
        if not family.count and path.origin == NO_ORIGIN:
            # The first call here of its workflow, and it starts with nothing of another's. Others
            # of the workflow may be active and hold nothing but root text.
            self.pinned += upto
            self.used += upto
            run = TokenRun(call, 0, upto, self._token)
            run.covered = upto
            run.pins = 1
            family.put(call, run)
            family.count = 1
            family.holds = Hold(call, upto, run, family.holds)
            return 0
        self._locate(family, call, upto)
        present = found = self._seen_present
        tail = self._resolve(self._seen_run)
        self._seen_call = -1
        self.pinned += self._unpinned(family, call, upto)
        self.used += upto - present
        before = family.hold_of(call)
        root = path.root
        if root:
            self._hold_root(call, before.held if before is not None else 0, upto)
        if upto > present:
            if root > present:
                present = min(root, upto)
                tail = self._grow_root(path.text, present)
            if upto > present:
                tail = self._continue(family, call, tail, present, upto)
        assert tail is not None
        tail.attach(upto)
        if before is None:
            family.holds = Hold(call, upto, tail, family.holds)
        else:
            last = self._resolve(before.run)
            assert last is not None
            last.detach(before.held)
            before.held, before.run = upto, tail
        return found

    def grow(self, tokens: int) -> None:
        """Pin `tokens` more at the ends of active calls; `release` is told each one's length."""
        self.pinned += tokens
        self.used += tokens

    def release(self, call: int, length: int) -> None:
        """End the stay of an active call whose path is `length` tokens long by now."""
        path = self._tree.paths[call]
        workflow = path.workflow
        family = self._own(workflow)
        self._seen_call = -1
        hold = family.drop(call)
        held = hold.held
        run = self._resolve(hold.run)
        assert run is not None
        if family.holds is not None or path.root:
            if path.root:
                self._hold_root(call, held, 0)
            self.pinned -= self._unpinned(family, call, length)
        else:
            self.pinned -= length
        if length > held > path.start and run.tip == call and run.end == held:
            # It only adds tokens of its own at the end of its own run.
            run.end = length
            run.detach(held)
        elif length > held:
            grown = self._continue(family, call, run, held, length)
            run.detach(held)
            run = grown
        else:
            run.detach(held)
        if not self._keep:
            self.used -= length
            self._forget(run)
            return
        if not family.count and family.holds is None:
            del self._families[workflow]
        self._clock = stamp = self._clock + 1
        run.used_at(length, stamp)
        if run.end > run.covered:
            if run.stamp == stamp:
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
        self._seen_call = -1
        self.used = self.capacity
        self.evicted += tokens
        exposed, line = self._exposed, self._line
        while tokens:
            in_line = not exposed
            if in_line:
                stamp, entry = line[0]
            else:
                stamp, _, entry = exposed[0]
                if line and line[0][0] <= stamp:
                    in_line = True
                    stamp, entry = line[0]
            run = entry if entry.token is self._token else self._twin(entry, stamp)
            if run is None or run.stamp != stamp:
                if in_line:
                    line.popleft()
                else:
                    heappop(exposed)
                continue
            floor = run.covered
            newer = run.newer
            if newer and newer[-1][0] > floor:
                floor = newer[-1][0]
            loose = run.end - floor
            if loose > tokens:
                run.end -= tokens
                run.reach = run.end
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
            if newer and newer[-1][0] >= floor:
                run.reach, run.stamp = newer.pop()
            else:
                run.reach = floor
            if floor > run.covered:
                self._expose(run)

    def clear(self) -> None:
        """Forget everything: the instance failed."""
        self.used = self.pinned = 0
        self._seen_call = -1
        self._seen_run = None
        self._families.clear()
        self._texts.clear()
        self._exposed.clear()
        self._line.clear()

    def clone(self, tree: PrefixTree) -> "KVPool":
        """Return an independent copy over `tree`.

        What there is of a workflow is shared until one of the two changes it.
        """
        other = KVPool(self.capacity, tree, self._keep)
        other.used, other.pinned, other.evicted = self.used, self.pinned, self.evicted
        other._clock, other._serial = self._clock, self._serial
        other._families = self._families.copy()
        other._texts = self._texts.copy()
        other._line = self._line.copy()
        other._exposed = self._exposed.copy()
        # From now on neither owns what both have.
        self._token = object()
        self._seen_call = -1
        return other

    # ------------------------------------------------------------------ shared with clones

    def _own(self, workflow: int) -> Family:
        """Return what there is of a workflow, to be changed."""
        family = self._families.get(workflow)
        if family is None:
            family = self._families[workflow] = Family(self._token)
        elif family.token is not self._token:
            family = self._families[workflow] = family.copy(self._token)
            self._seen_call = -1
        return family

    def _own_text(self, number: int) -> RootText:
        """Return what there is of a root text, to be changed."""
        text = self._texts.get(number)
        if text is None:
            text = self._texts[number] = RootText(None, self._token)
        elif text.token is not self._token:
            text = self._texts[number] = text.copy(self._token)
            self._seen_call = -1
        return text

    def _resolve(self, run: TokenRun | None) -> TokenRun | None:
        """Return this pool's own run in place of one of root text."""
        if run is None or run.tip >= 0:
            return run
        return self._own_text(run.tip).run

    def _twin(self, run: TokenRun, stamp: int) -> TokenRun | None:
        """Return this pool's own run in place of one that was there before a clone."""
        if run.tip < 0:
            return self._own_text(run.tip).run if run.tip in self._texts else None
        workflow = self._tree.paths[run.tip].workflow
        if workflow not in self._families:
            return None
        return self._own(workflow).stamped(stamp)

    # ------------------------------------------------------------------ runs

    def _unpinned(self, family: Family | None, call: int, upto: int) -> int:
        tree = self._tree
        shared = 0
        if family is not None:
            hold = family.holds
            while hold is not None:
                held = hold.held
                if held > shared:
                    if hold.call != call:
                        held = min(held, tree.common(call, hold.call))
                    if held > shared:
                        shared = held
                hold = hold.following
        path = tree.paths[call]
        root = path.root
        if root > shared:
            text = self._texts.get(path.text)
            if text is not None and text.lengths:
                shared = max(shared, min(root, max(text.lengths)))
        return upto - shared if upto > shared else 0

    def _locate(self, family: Family | None, call: int, limit: int) -> None:
        """Find how much of the call's path is present, and the run of the last token."""
        path = self._tree.paths[call]
        if self.used > self.capacity:
            self.evict()
            family = self._families.get(path.workflow)
        if self._seen_call == call and self._seen_limit == limit:
            return
        tree = self._tree
        found: TokenRun | None = None
        present, reach, owner = 0, limit, call
        if family is None or not family.count:
            reach = path.root
            if reach > limit:
                reach = limit
            owner = path.text if reach else NO_ORIGIN
        while owner != NO_ORIGIN:
            if owner < 0:
                text = self._texts.get(owner)
                run = None if text is None else text.run
                begin = 0
            else:
                assert family is not None
                run = family.get(owner)
                path = tree.paths[owner]
                begin = path.start
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
            owner = path.origin
        if present < limit and family is not None and family.hidden:
            for run in family.hidden:
                if run.end > present and run.low < limit:
                    reach = min(min(limit, run.end), tree.common(call, run.tip))
                    if reach > present and reach > run.low:
                        present, found = reach, run
        self._seen_call, self._seen_limit = call, limit
        self._seen_present, self._seen_run = present, found

    def _continue(
        self, family: Family, call: int, run: TokenRun | None, present: int, upto: int
    ) -> TokenRun:
        """Make tokens `present`…`upto` of the call's path present; `run` holds the one before."""
        paths = self._tree.paths
        if run is not None and run.tip == call and run.end == present:
            run.end = upto
        else:
            parent, run = run, TokenRun(call, present, upto, self._token)
            if parent is not None:
                parent.attach(present)
                if parent.tip < 0:
                    run.text = parent.tip
                else:
                    run.parent = parent
            family.count += 1
        owner, first = call, -1
        while owner >= 0:
            path = paths[owner]
            if path.start < present:
                break
            family.put(owner, run)
            first = path.start
            owner = path.origin
        if run.low == present and first != present:
            family.hide(run)
        return run

    def _grow_root(self, number: int, upto: int) -> TokenRun:
        """Make the first `upto` tokens of a root text present."""
        text = self._own_text(number)
        if text.run is None:
            text.run = TokenRun(number, 0, upto, self._token)
        else:
            text.run.end = upto
        return text.run

    def _expose(self, run: TokenRun) -> None:
        """Enter a run whose end came to light out of turn, under the stamp of its last token."""
        self._serial += 1
        heappush(self._exposed, (run.stamp, self._serial, run))

    def _forget(self, run: TokenRun) -> None:
        """Remove an own run that nothing needs any more."""
        tip = run.tip
        if tip < 0:
            del self._texts[tip]
            return
        paths = self._tree.paths
        workflow = paths[tip].workflow
        family = self._families[workflow]
        if family.count == 1 and family.holds is None:
            del self._families[workflow]
            return
        owner, low = tip, run.low
        while owner >= 0:
            path = paths[owner]
            if path.start < low:
                break
            family.discard(owner, run)
            owner = path.origin
        family.count -= 1
        hidden = family.hidden
        if hidden and run in hidden:
            hidden.remove(run)

    def _remove(self, run: TokenRun, stamp: int) -> None:
        """Forget an emptied run; its parent inherits its stamp and may be exposed now."""
        self._forget(run)
        run.stamp = 0
        run.newer = None
        parent = self._own_text(run.text).run if run.text else run.parent
        if parent is None:
            return
        parent.detach(run.low)
        parent.used_at(run.low, stamp)
        if parent.end > parent.covered:
            self._expose(parent)

    # ------------------------------------------------------------------ roots

    def _hold_root(self, call: int, before: int, after: int) -> None:
        """Let an active call hold `after` tokens, not `before`, as far as they are root text."""
        path = self._tree.paths[call]
        root = path.root
        before, after = min(root, before), min(root, after)
        if before == after:
            return
        lengths = self._own_text(path.text).lengths
        if before:
            lengths[before] -= 1
            if not lengths[before]:
                del lengths[before]
        if after:
            lengths[after] = lengths.get(after, 0) + 1
