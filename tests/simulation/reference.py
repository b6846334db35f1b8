"""A deliberately naive simulator: one step, one token at a time, sets of tokens, no cleverness.

It follows docs/simulation.md and shares no code with the engine beyond the input records.
"""

from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.workflow import Workflow
from tests.simulation.reference_state import PICO, RefCall, RefInstance, RefPool, Token, ticks


class Reference:
    """Runs `workflows` on `cluster`; `choose` places calls, `predict` guesses outputs.

    `rank`, if given, orders the queue of a free prefill instance that has changed.
    """

    def __init__(
        self, cluster: SimulatedCluster, workflows: list[Workflow], choose, predict, rank=None
    ):
        self.cluster = cluster
        self.choose = choose
        self.rank = rank
        self.instances = [
            RefInstance(i, spec, RefPool(spec.capacity, cluster.prefix_caching))
            for i, spec in enumerate(cluster.instances)
        ]
        self.workflows = sorted(workflows, key=lambda w: w.arrival_s)
        self.calls: list[RefCall] = []
        self.first: list[int] = []
        self.arrivals: dict[int, int] = {}
        for w, workflow in enumerate(self.workflows):
            self._add(w, workflow, predict)
        self.latency = ticks(cluster.transfer_latency_s)
        self.reveals: dict[int, int] = {}
        self.flows: list[int] = []
        self.landings: dict[int, int] = {}
        self.ready: list[int] = []
        self.held: list[int] = []
        self.sequence = 0
        self.now = 0
        self.finish: dict[int, int] = {}
        self.first_token: dict[int, int] = {}
        names = [spec.name for spec in cluster.instances]
        self.outages = sorted(
            [(ticks(f.at_s), names.index(f.instance), True) for f in cluster.failures]
            + [
                (ticks(f.until_s), names.index(f.instance), False)
                for f in cluster.failures
                if f.until_s is not None
            ]
        )

    def _add(self, w: int, workflow: Workflow, predict) -> None:
        base = len(self.calls)
        self.first.append(base)
        self.arrivals[w] = ticks(workflow.arrival_s)
        ancestors: list[set[int]] = []
        for index, spec in enumerate(workflow.calls):
            above: set[int] = set()
            for parent in spec.parents:
                above |= ancestors[parent] | {parent}
            ancestors.append(above)
            number = base + index
            text: list[Token] = []
            if self.cluster.prefix_caching:
                if spec.prefix_call >= 0:
                    origin = self.calls[base + spec.prefix_call]
                    for token in origin.text[: spec.prefix_tokens]:
                        owner, x = token
                        generated = isinstance(owner, int) and x >= self.calls[owner].prompt
                        if generated and owner - base not in above:
                            break
                        text.append(token)
                else:
                    root = workflow.prefix_group or f"private {w}"
                    text += [(root, x) for x in range(spec.prefix_tokens)]
            total = spec.prompt_tokens + spec.output_tokens
            text += [(number, x) for x in range(len(text), total)]
            self.calls.append(
                RefCall(
                    number=number,
                    workflow=w,
                    index=index,
                    prompt=spec.prompt_tokens,
                    output=spec.output_tokens,
                    text=text,
                    children=[],
                    missing_parents=len(set(spec.parents)),
                    tool=ticks(spec.tool_seconds),
                    predicted=predict(workflow, index),
                )
            )
            for parent in sorted(set(spec.parents)):
                self.calls[base + parent].children.append(number)

    # ------------------------------------------------------------------ the clock

    def run(self) -> None:
        while True:
            times = [t for t, _, _ in self.outages[:1]]
            times += list(self.arrivals.values()) + list(self.reveals.values())
            times += list(self.landings.values())
            times += [self.now + self._flow_time(c) for c in self.flows]
            for instance in self.instances:
                times += [end for end, _ in instance.batches]
                if instance.free_at > self.now:
                    times.append(instance.free_at)
                if instance.step_end is not None:
                    times.append(instance.step_end)
            if not times:
                break
            self._advance(min(times))
            self._instant()
        assert not self.ready
        assert not self.held
        assert len(self.finish) == len(self.calls), "some calls never finished"

    def _advance(self, t: int) -> None:
        assert t > self.now or self.now == 0
        rates = {c: self._rate(c) for c in self.flows}
        for c in self.flows:
            self.calls[c].remaining_work -= rates[c] * (t - self.now)
        self.now = t

    def _instant(self) -> None:
        while True:
            self._ends()
            self._decide()
            again = False
            for instance in self.instances:
                again |= self._start(instance)
            if not (again or self.ready or self._due()):
                return

    def _due(self) -> bool:
        t = self.now
        return (
            any(self._flow_time(c) == 0 for c in self.flows)
            or t in self.landings.values()
            or t in self.reveals.values()
        )

    def _ends(self) -> None:
        t = self.now
        while self.outages and self.outages[0][0] == t:
            _, i, fails = self.outages.pop(0)
            self._fail(self.instances[i]) if fails else self._recover(self.instances[i])
        for instance in self.instances:
            for batch in [b for b in instance.batches if b[0] == t]:
                instance.batches.remove(batch)
                for c in batch[1]:
                    self._prefilled(self.calls[c])
        for c in sorted(c for c in self.flows if self._flow_time(c) == 0):
            self.flows.remove(c)
            self.landings[c] = t + self.latency
            if self.latency == 0:
                self._land(c)
        for c in sorted(c for c, end in self.landings.items() if end == t):
            self._land(c)
        for instance in self.instances:
            if instance.step_end == t:
                self._end_step(instance)
        for c in sorted(c for c, end in self.reveals.items() if end == t):
            del self.reveals[c]
            self.ready.append(c)
        for w in sorted(w for w, at in self.arrivals.items() if at == t):
            del self.arrivals[w]
            for index, spec in enumerate(self.workflows[w].calls):
                if not spec.parents:
                    self._reveal(self.first[w] + index)

    def _reveal(self, c: int) -> None:
        if self.calls[c].tool == 0:
            self.ready.append(c)
        else:
            self.reveals[c] = self.now + self.calls[c].tool

    def _decide(self) -> None:
        ready, self.ready = sorted(self.ready), []
        held: list[int] = []
        for c in ready:
            call = self.calls[c]
            usable = [
                i
                for i in self.instances
                if not i.down and i.number not in call.forbidden and i.pool.capacity >= call.known
            ]
            prefills = [i.number for i in usable if i.spec.role == "prefill"]
            decodes = [i.number for i in usable if i.spec.role == "decode"]
            mixed = [i.number for i in usable if i.spec.role == "mixed"]
            choice = self.choose(c, call.placed, prefills, decodes, mixed)
            if choice is None:
                held.append(c)
                continue
            call.placed += 1
            call.prefill, call.decode, call.priority, call.decode_priority = choice
            call.sequence = self.sequence
            self.sequence += 1
            self.instances[call.prefill].queue.append(c)
            self.instances[call.prefill].queue_changed = True
        self.held += held

    # ------------------------------------------------------------------ calls

    def _emit(self, call: RefCall) -> bool:
        """One more token (none if the output is empty); return whether the call is complete."""
        if call.output > 0:
            if call.emitted == 0:
                self.first_token[call.number] = self.now
            call.emitted += 1
        if call.emitted < call.output:
            return False
        self.finish[call.number] = self.now
        for child in call.children:
            self.calls[child].missing_parents -= 1
            if self.calls[child].missing_parents == 0:
                self._reveal(child)
        return True

    def _prefilled(self, call: RefCall) -> None:
        if self._emit(call):
            self.instances[call.prefill].pool.release(call)
        else:
            self.instances[call.decode].queue.append(call.number)

    def _land(self, c: int) -> None:
        call = self.calls[c]
        del self.landings[c]
        self.instances[call.prefill].pool.release(call)
        self.instances[call.decode].landed.append(c)

    def _rate(self, c: int) -> int:
        p, d = self.calls[c].prefill, self.calls[c].decode
        a = sum(1 for other in self.flows if self.calls[other].prefill == p)
        b = sum(1 for other in self.flows if self.calls[other].decode == d)
        out_p = round(self.instances[p].spec.nic_bandwidth)
        in_d = round(self.instances[d].spec.nic_bandwidth)
        return max(1, min(out_p // a, in_d // b))

    def _flow_time(self, c: int) -> int:
        return max(0, -(-self.calls[c].remaining_work // self._rate(c)))

    def _key(self, instance: RefInstance, c: int) -> tuple[float, int]:
        call = self.calls[c]
        if instance.spec.role == "decode":
            return call.decode_priority, call.sequence
        return call.priority, call.sequence

    # ------------------------------------------------------------------ instances

    def _start(self, instance: RefInstance) -> bool:
        """Start what can start; return whether the instance must be looked at again."""
        if instance.down:
            return False
        if instance.spec.role == "prefill":
            self._start_prefill(instance)
            return False
        if instance.spec.role == "decode":
            self._admit(instance)
            if instance.step_end is not None:
                return False
            return self._start_step(instance)
        if instance.step_end is not None:
            return False
        return self._start_mixed(instance)

    def _start_prefill(self, instance: RefInstance) -> None:
        if instance.free_at > self.now:
            return
        if self.rank is not None and instance.queue and instance.queue_changed:
            queued = sorted(instance.queue, key=lambda c: self.calls[c].sequence)
            for c, priority in zip(
                queued, self.rank(self.now, instance.number, queued), strict=True
            ):
                self.calls[c].priority = priority
            instance.queue_changed = False
        pool, performance = instance.pool, instance.spec.performance
        total, pairs, batch = 0, 0, []
        for c in sorted(instance.queue, key=lambda c: self._key(instance, c)):
            call = self.calls[c]
            text, length = call.text, call.known
            new = length - min(pool.match(text[:length]), length - 1)
            if len(batch) == instance.spec.max_batch:
                break
            if batch and total + new > instance.spec.token_budget:
                break
            if pool.pinned + pool.newly_pinned(text, length) > pool.capacity:
                break
            call.length = length
            pool.hold(call, length)
            batch.append(c)
            total += new
            pairs += new * (2 * (length - new) + new)
        if not batch:
            return
        instance.queue_changed = True
        instance.queue = [c for c in instance.queue if c not in batch]
        span = max(1, ticks(performance.prefill.seconds(total, pairs / 2)))
        instance.batches.append((self.now + span, batch))
        instance.free_at = self.now + -(-span // performance.pp)

    def _admit(self, instance: RefInstance) -> None:
        pool = instance.pool
        while instance.queue and len(instance.admitted) < instance.spec.max_batch:
            c = min(instance.queue, key=lambda c: self._key(instance, c))
            call = self.calls[c]
            promise = self._promise(call, pool)
            promised = sum(self.calls[other].promise_left() for other in instance.admitted)
            new = pool.newly_pinned(call.text, call.length)
            if pool.pinned + new + promised + promise > pool.capacity:
                return
            instance.queue.remove(c)
            instance.admitted.append(c)
            call.promise, call.steps = promise, 0
            missing = call.length - pool.match(call.text[: call.length])
            pool.hold(call, call.length)
            bytes_per_token = round(
                self.instances[call.prefill].spec.performance.kv_bytes_per_token
            )
            if missing:
                call.remaining_work = missing * bytes_per_token * PICO
                self.flows.append(c)
            else:
                self.landings[c] = self.now + self.latency

    def _promise(self, call: RefCall, pool: RefPool, emitted_next: int = 0) -> int:
        if self.cluster.admission == "prompt":
            return 0
        left = max(0, call.predicted - call.emitted - emitted_next)
        return min(left, pool.capacity - call.length)

    def _start_step(self, instance: RefInstance) -> bool:
        instance.running += instance.landed
        instance.landed = []
        pool, decode = instance.pool, instance.spec.performance.decode
        preempted = False
        while instance.running and pool.pinned + len(instance.running) > pool.capacity:
            worst = max(instance.running, key=lambda c: self._key(instance, c))
            instance.running.remove(worst)
            self._preempt(instance, worst, to_queue=False)
            preempted = True
        if instance.running:
            context = sum(len(pool.paths[c]) for c in instance.running)
            for c in instance.running:
                self._grow(instance, c)
            base = max(1, ticks(decode.step_seconds(len(instance.running), 0)))
            instance.step_end = self.now + base + ticks(decode.d2) * context
        return preempted

    def _grow(self, instance: RefInstance, c: int) -> None:
        call = self.calls[c]
        instance.pool.hold(call, len(instance.pool.paths[c]) + 1)
        call.steps += 1

    def _preempt(self, instance: RefInstance, c: int, to_queue: bool) -> None:
        call = self.calls[c]
        alone = len(instance.admitted) == 1
        instance.admitted.remove(c)
        instance.pool.release(call)
        call.preemptions += 1
        too_small = call.known > instance.pool.capacity
        if alone or (to_queue and too_small):
            call.forbidden.add(instance.number)
        if to_queue and not alone and not too_small:
            instance.queue.append(c)
        else:
            self.ready.append(c)

    def _end_step(self, instance: RefInstance) -> None:
        instance.step_end = None
        finished = []
        for c in instance.running:
            call = self.calls[c]
            if call.emitted + 1 == call.output:
                finished.append(c)
            else:
                call.emitted += 1
        joining = []
        for c in instance.filling:
            self.calls[c].filled += instance.chunks.get(c, 0)
            if self.calls[c].filled == self.calls[c].length:
                joining.append(c)
        instance.chunks = {}
        for c in sorted(finished):
            self._emit(self.calls[c])
            instance.running.remove(c)
            instance.admitted.remove(c)
            instance.pool.release(self.calls[c])
        for c in sorted(joining):
            instance.filling.remove(c)
            if self._emit(self.calls[c]):
                instance.admitted.remove(c)
                instance.pool.release(self.calls[c])
            else:
                self.calls[c].steps = 0
                instance.running.append(c)

    def _start_mixed(self, instance: RefInstance) -> bool:
        pool, spec = instance.pool, instance.spec
        preempted = False

        def worst() -> int:
            return max(instance.admitted, key=lambda c: self._key(instance, c))

        def drop(c: int) -> None:
            nonlocal preempted
            (instance.running if c in instance.running else instance.filling).remove(c)
            self._preempt(instance, c, to_queue=True)
            preempted = True

        while instance.running and pool.pinned + len(instance.running) > pool.capacity:
            drop(worst())
        budget = spec.token_budget - len(instance.running)
        total = pairs = 0
        early = False
        for c in sorted(instance.filling, key=lambda c: self._key(instance, c)):
            if c not in instance.filling or budget == 0:
                continue
            call = self.calls[c]
            chunk = min(call.length - call.filled, budget)
            upto = call.filled + chunk
            while (
                pool.pinned + len(instance.running) + pool.newly_pinned(call.text, upto)
                > pool.capacity
                and worst() != c
            ):
                drop(worst())
            if (
                pool.pinned + len(instance.running) + pool.newly_pinned(call.text, upto)
                > pool.capacity
            ):
                early = True
                break
            pool.hold(call, upto)
            pairs += chunk * (2 * call.filled + chunk)
            total += chunk
            budget -= chunk
            instance.chunks[c] = chunk
        if not preempted and not early:
            for c in sorted(instance.queue, key=lambda c: self._key(instance, c)):
                if budget == 0 or len(instance.admitted) == spec.max_batch:
                    break
                call = self.calls[c]
                length = call.known
                cached = min(pool.match(call.text[:length]), length - 1)
                chunk = min(length - cached, budget)
                call.length = length
                promise = self._promise(call, pool, emitted_next=1)
                upto = cached + chunk
                if self.cluster.admission == "prompt":
                    need = pool.newly_pinned(call.text, upto)
                else:
                    need = pool.newly_pinned(call.text, length) + promise
                    for other in instance.running:
                        # The token set aside for this step is part of what was promised.
                        need += max(0, self.calls[other].promise_left() - 1)
                    for other in instance.filling:
                        waits = self.calls[other]
                        reached = waits.filled + instance.chunks.get(other, 0)
                        need += waits.promise + waits.length - reached
                if pool.pinned + len(instance.running) + need > pool.capacity:
                    break
                instance.queue.remove(c)
                instance.admitted.append(c)
                instance.filling.append(c)
                call.promise, call.steps, call.filled = promise, 0, cached
                pool.hold(call, upto)
                pairs += chunk * (2 * cached + chunk)
                total += chunk
                budget -= chunk
                instance.chunks[c] = chunk
        batch = len(instance.running)
        if batch or total:
            mixed = spec.performance.mixed
            context = sum(len(pool.paths[c]) for c in instance.running)
            for c in instance.running:
                self._grow(instance, c)
            base = max(1, ticks(mixed.step_seconds(batch, 0, total, pairs / 2)))
            instance.step_end = self.now + base + ticks(mixed.d2) * context
        return preempted

    # ------------------------------------------------------------------ failures

    def _fail(self, instance: RefInstance) -> None:
        i = instance.number
        lost = []
        for call in self.calls:
            under_way = call.sequence >= 0 and call.number not in self.finish
            if not under_way or call.number in self.ready + self.held:
                continue
            decode = self.instances[call.decode]
            landed = call.number in decode.landed + decode.running
            if call.decode == i or (call.prefill == i and not landed):
                lost.append(call.number)
        instance.pool = RefPool(instance.pool.capacity, instance.pool.caching)
        instance.batches, instance.free_at, instance.step_end = [], 0, None
        instance.chunks = {}
        instance.down = True
        for c in lost:
            self._lose(c)

    def _lose(self, c: int) -> None:
        call = self.calls[c]
        for instance in self.instances:
            if c in instance.pool.paths:
                instance.pool.release(call)
            for batch in instance.batches:
                if c in batch[1]:
                    batch[1].remove(c)
            for where in (
                instance.queue,
                instance.admitted,
                instance.landed,
                instance.running,
                instance.filling,
            ):
                if c in where:
                    where.remove(c)
        if c in self.flows:
            self.flows.remove(c)
        self.landings.pop(c, None)
        self.ready.append(c)

    def _recover(self, instance: RefInstance) -> None:
        instance.down = False
        self.ready += self.held
        self.held = []
