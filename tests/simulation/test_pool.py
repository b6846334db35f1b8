"""The KV pool against sets of tokens, operation by operation."""

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.models.simulation.pool import KVPool
from hexsolve.models.simulation.prefixes import PrefixTree
from hexsolve.models.workflow import Call, Workflow


@st.composite
def workloads(draw: st.DrawFn) -> list[Workflow]:
    workflows = []
    for w in range(draw(st.integers(1, 3))):
        calls: list[Call] = []
        for index in range(draw(st.integers(1, 6))):
            prompt = draw(st.integers(1, 20))
            source = draw(st.integers(-1, index - 1))
            limit = prompt
            if source >= 0:
                limit = min(prompt, calls[source].prompt_tokens)
            calls.append(
                Call(prompt, 0, prefix_call=source, prefix_tokens=draw(st.integers(0, limit)))
            )
        group = draw(st.sampled_from(["", "g"]))
        workflows.append(Workflow(f"w{w}", 0.0, tuple(calls), prefix_group=group))
    return workflows


class Tokens:
    """What KVPool stands for, as sets."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.holders: dict[tuple[object, int], set[int]] = {}
        self.stamp: dict[tuple[object, int], int] = {}
        self.clock = 0

    def match(self, path) -> int:
        length = 0
        while length < len(path) and path[length] in self.holders:
            length += 1
        return length

    def unpinned(self, path) -> int:
        return sum(not self.holders.get(token) for token in path)

    def pinned(self) -> int:
        return sum(bool(who) for who in self.holders.values())

    def hold(self, call, path) -> None:
        for token in path:
            self.holders.setdefault(token, set()).add(call)
            self.stamp.setdefault(token, 0)
        while len(self.holders) > self.capacity:
            loose = [token for token, who in self.holders.items() if not who]
            victim = min(loose, key=lambda token: (self.stamp[token], -token[1]))
            del self.holders[victim], self.stamp[victim]

    def release(self, call, path) -> None:
        self.clock += 1
        for token in path:
            self.stamp[token] = self.clock
            self.holders[token].discard(call)


def paths_of(workflows: list[Workflow]) -> list[list[tuple[object, int]]]:
    paths: list[list[tuple[object, int]]] = []
    for w, workflow in enumerate(workflows):
        first = len(paths)
        for call in workflow.calls:
            if call.prefix_call >= 0:
                path = paths[first + call.prefix_call][: call.prefix_tokens]
            else:
                root = workflow.prefix_group or f"private {w}"
                path = [(root, x) for x in range(call.prefix_tokens)]
            number = len(paths)
            path = path + [(number, x) for x in range(len(path), call.prompt_tokens)]
            paths.append(path)
    return paths


@settings(max_examples=400, deadline=None, derandomize=True)
@given(workloads(), st.integers(20, 60), st.data())
def test_pool_is_a_set_of_tokens(workflows, capacity, data):
    paths = paths_of(workflows)
    tree = PrefixTree(len(paths), caching=True)
    first = 0
    for number, workflow in enumerate(workflows):
        tree.add(number, workflow, first)
        first += len(workflow.calls)
    pool, tokens = KVPool(capacity, tree, caching=True), Tokens(capacity)
    held: dict[int, int] = {}
    # After a clone one of the two goes on, perhaps until it is the other's turn again.
    aside = [(pool.clone(tree), copy.deepcopy(tokens), held.copy())]
    for _ in range(data.draw(st.integers(1, 40))):
        call = data.draw(st.integers(0, len(paths) - 1))
        path = paths[call]
        grows = data.draw(st.booleans())
        assert pool.match(call, len(path)) == tokens.match(path)
        if call in held and not grows:
            pool.release(call, held[call])
            tokens.release(call, path[: held.pop(call)])
        else:
            least = held[call] if call in held else tokens.match(path)
            upto = data.draw(st.integers(max(1, least), len(path)))
            assert pool.unpinned(call, upto) == tokens.unpinned(path[:upto])
            if tokens.pinned() + tokens.unpinned(path[:upto]) > capacity:
                continue
            held[call] = upto
            assert pool.hold(call, upto) == tokens.match(path[:upto])
            tokens.hold(call, path[:upto])
        turn = data.draw(st.integers(0, 11))
        if turn == 0:
            aside.append((pool.clone(tree), copy.deepcopy(tokens), held.copy()))
        elif turn == 1:
            aside.append((pool, tokens, held))
            pool, tokens, held = aside.pop(data.draw(st.integers(0, len(aside) - 1)))
        pool.evict()
        assert (pool.used, pool.pinned) == (len(tokens.holders), tokens.pinned())
        for other, whole in enumerate(paths):
            assert pool.match(other, len(whole)) == tokens.match(whole)
