"""What a KV pool holds of one workflow: runs of tokens, and the active calls that pin them.

Runs and holds are chains. They are not declared acyclic, though they are: where more than 50
objects go at once, each the last reference to the next, mypyc (1.20) lets CPython queue them up in
the header for the garbage collector, which objects of acyclic classes do not have. That overwrites
memory of others.
"""

from mypy_extensions import mypyc_attr


class TokenRun:
    """Present tokens `low`…`end` of the path of call (or root text) `tip`.

    What is present is closed under prefixes, so `parent` is the run that holds the token before;
    if that is root text, `text` is its (negative) number and there is no `parent`. Tokens go from
    the end. Runs that continue this one from a position, and active calls, need it up to there:
    what lies before the last of them (`covered`, where `pins` of them end; `lower` counts the
    others) cannot be evicted. Stamps are a staircase of (position, stamp), positions ascending and
    stamps descending: a token's stamp is that of the first entry beyond it. (`reach`, `stamp`) is
    the last entry, `stamp` 0 if there is none, and `newer` holds those before it.
    """

    __slots__ = (
        "covered",
        "end",
        "low",
        "lower",
        "newer",
        "parent",
        "pins",
        "reach",
        "stamp",
        "text",
        "tip",
        "token",
    )

    def __init__(self, tip: int, low: int, end: int, token: object) -> None:
        self.tip = tip
        self.low = low
        self.end = end
        self.token = token
        self.parent: TokenRun | None = None
        self.text = 0
        self.covered = low
        self.pins = 0
        self.lower: dict[int, int] | None = None
        self.reach = 0
        self.stamp = 0
        self.newer: list[tuple[int, int]] | None = None

    def copy(self, token: object, parent: "TokenRun | None") -> "TokenRun":
        """Return a copy that hangs on `parent`."""
        twin = TokenRun(self.tip, self.low, self.end, token)
        twin.parent, twin.text = parent, self.text
        twin.covered, twin.pins = self.covered, self.pins
        twin.lower = self.lower.copy() if self.lower else None
        twin.reach, twin.stamp = self.reach, self.stamp
        twin.newer = self.newer.copy() if self.newer else None
        return twin

    def attach(self, position: int) -> None:
        """Let something need the tokens before `position`."""
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
        """Undo `attach`."""
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
        newer = self.newer
        if not self.stamp or (self.reach <= position and self.stamp <= stamp):
            # The common case: the newest use reaches furthest.
            if newer is not None:
                while newer and newer[-1][1] <= stamp:
                    newer.pop()
            self.reach, self.stamp = position, stamp
            return
        entries = newer or []
        entries.append((self.reach, self.stamp))
        kept = [entry for entry in entries if entry[0] > position or entry[1] > stamp]
        for index, (other, later) in enumerate(kept):
            if other >= position:
                if later < stamp:
                    kept.insert(index, (position, stamp))
                break
        else:
            kept.append((position, stamp))
        self.reach, self.stamp = kept.pop()
        self.newer = kept


class Hold:
    """An active call, how many tokens of its path it pins, and the run of the last of them."""

    __slots__ = ("call", "following", "held", "run")

    def __init__(self, call: int, held: int, run: TokenRun, following: "Hold | None") -> None:
        self.call = call
        self.held = held
        self.run = run
        self.following = following


@mypyc_attr(acyclic=True)
class Family:
    """What there is of one workflow: `count` runs, and a chain of the holds of active calls.

    A run is found under each call of its tip's path whose own tokens begin in it, or, if it begins
    amid the tokens of one, in `hidden`. The first such entry has no dictionary: of most workflows a
    pool has one run. Pools that share a family after `KVPool.clone` copy it before they change it:
    it belongs to the one whose token it bears.
    """

    __slots__ = ("count", "first", "hidden", "holds", "key", "more", "token")

    def __init__(self, token: object) -> None:
        self.token = token
        self.count = 0
        self.key = -1
        self.first: TokenRun | None = None
        self.more: dict[int, TokenRun] | None = None
        self.hidden: list[TokenRun] | None = None
        self.holds: Hold | None = None

    def get(self, call: int) -> TokenRun | None:
        """Return the run under `call`."""
        if call == self.key:
            return self.first
        more = self.more
        return None if more is None else more.get(call)

    def put(self, call: int, run: TokenRun) -> None:
        """Enter a run under `call`."""
        more = self.more
        if call == self.key or (self.key < 0 and not more):
            self.key, self.first = call, run
        elif more is None:
            self.more = {call: run}
        else:
            more[call] = run

    def discard(self, call: int, run: TokenRun) -> None:
        """Remove what is under `call` if that is `run`."""
        if call == self.key:
            if self.first is run:
                self.key, self.first = -1, None
            return
        more = self.more
        if more is not None and more.get(call) is run:
            del more[call]

    def hide(self, run: TokenRun) -> None:
        """Enter a run that begins amid the tokens of a call."""
        if self.hidden is None:
            self.hidden = [run]
        else:
            self.hidden.append(run)

    def hold_of(self, call: int) -> Hold | None:
        """Return the hold of an active call."""
        hold = self.holds
        while hold is not None and hold.call != call:
            hold = hold.following
        return hold

    def drop(self, call: int) -> Hold:
        """Remove the hold of an active call and return it."""
        hold, before = self.holds, None
        while hold is not None and hold.call != call:
            hold, before = hold.following, hold
        assert hold is not None, "it is active"
        if before is None:
            self.holds = hold.following
        else:
            before.following = hold.following
        return hold

    def runs(self) -> list[TokenRun]:
        """Return all entries, runs under several calls several times."""
        runs = list(self.more.values()) if self.more else []
        if self.first is not None:
            runs.append(self.first)
        if self.hidden:
            runs += self.hidden
        return runs

    def stamped(self, stamp: int) -> TokenRun | None:
        """Return the run whose last tokens bear `stamp`; no two have the same."""
        for run in self.runs():
            if run.stamp == stamp:
                return run
        return None

    def copy(self, token: object) -> "Family":
        """Return a copy with runs and holds of its own."""
        twin = Family(token)
        copies: dict[int, TokenRun] = {}
        for run in self.runs():
            chain = []
            above: TokenRun | None = run
            while above is not None and id(above) not in copies:
                chain.append(above)
                above = above.parent
            for each in reversed(chain):
                parent = None if each.parent is None else copies[id(each.parent)]
                copies[id(each)] = each.copy(token, parent)
        twin.count, twin.key = self.count, self.key
        if self.first is not None:
            twin.first = copies[id(self.first)]
        if self.more:
            twin.more = {call: copies[id(run)] for call, run in self.more.items()}
        if self.hidden:
            twin.hidden = [copies[id(run)] for run in self.hidden]
        hold = self.holds
        while hold is not None:
            # Runs of root text are no family's.
            run = hold.run if hold.run.tip < 0 else copies[id(hold.run)]
            twin.holds = Hold(hold.call, hold.held, run, twin.holds)
            hold = hold.following
        return twin


@mypyc_attr(acyclic=True)
class RootText:
    """What there is of a text that workflows begin with, and {leading tokens: active holders}."""

    __slots__ = ("lengths", "run", "token")

    def __init__(self, run: TokenRun | None, token: object) -> None:
        self.run = run
        self.lengths: dict[int, int] = {}
        self.token = token

    def copy(self, token: object) -> "RootText":
        """Return a copy with a run of its own."""
        twin = RootText(None if self.run is None else self.run.copy(token, None), token)
        twin.lengths = self.lengths.copy()
        return twin
