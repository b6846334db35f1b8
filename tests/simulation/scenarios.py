"""Random small clusters and workloads, and a policy that both simulators can follow."""

import random
from collections.abc import Iterator, Sequence

from hexsolve.models.latency import (
    DecodeCoefficients,
    EnginePerformance,
    MixedCoefficients,
    PrefillCoefficients,
)
from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.cluster import Failure, SimulatedCluster, SimulatedInstance
from hexsolve.models.simulation.policy import Assignment, Plan
from hexsolve.models.simulation.view import ClusterView
from hexsolve.models.workflow import Call, Workflow


def performance(rng: random.Random, pp: int = 1) -> EnginePerformance:
    """Coefficients on a coarse grid, so that events coincide, or with many digits."""

    def draw(*choices: float) -> float:
        value = rng.choice(choices)
        return value * rng.uniform(0.5, 2.0) if rng.random() < 0.3 else value

    decode = DecodeCoefficients(
        d0=draw(0.5, 1.0),
        d1=draw(0.0, 0.25),
        d2=draw(0.0, 0.125),
        d3=draw(0.0, 1.0),
        active_share=rng.choice([0.0, 0.25]),
    )
    return EnginePerformance(
        llm="m", gpu="g", tp=1, pp=pp,
        prefill=PrefillCoefficients(
            p0=draw(0.5, 1.0), p1=draw(0.0, 0.125), p2=draw(0.0, 1 / 64), floor=draw(0.0, 1.0)
        ),
        decode=decode,
        mixed=MixedCoefficients(
            m0=draw(0.5, 1.0), m1=draw(0.125, 0.25), m2=draw(0.0, 1 / 64), d1=decode.d1,
            d2=decode.d2,
        ),
        kv_capacity_tokens=1000,
        kv_bytes_per_token=rng.choice([1.0, 4.0]),
        origin="measured",
    )  # fmt: skip


def random_cluster(rng: random.Random, largest: int) -> SimulatedCluster:
    """A few instances of each role; at least one of each is large enough for every call."""
    kind = rng.choice(["disaggregated", "disaggregated", "disaggregated", "mixed", "both"])
    roles = []
    if kind != "mixed":
        roles += ["prefill"] * rng.randint(1, 3) + ["decode"] * rng.randint(1, 3)
    if kind != "disaggregated":
        roles += ["mixed"] * rng.randint(1, 2)
    rng.shuffle(roles)
    instances, seen = [], set()
    for number, role in enumerate(roles):
        tight = largest + rng.choice([0, 1, 3, 10, 40, 200])
        capacity = tight if role not in seen else rng.randint(max(1, largest // 2), tight)
        seen.add(role)
        max_batch = rng.choice([1, 2, 3, 8])
        instances.append(
            SimulatedInstance(
                name=f"i{number}",
                role=role,
                performance=performance(rng, rng.choice([1, 1, 2]) if role == "prefill" else 1),
                nic_bandwidth=rng.choice([1.0, 8.0, 64.0, 3.7]),
                kv_capacity_tokens=capacity,
                token_budget=max(max_batch, rng.choice([2, 8, 16, 64])),
                max_batch=max_batch,
            )
        )
    failures = []
    if rng.random() < 0.3:
        for _ in range(rng.randint(1, 3)):
            at = rng.choice([0.0, 4.0, rng.uniform(0, 60)])
            name = f"i{rng.randrange(len(roles))}"
            if name not in [failure.instance for failure in failures]:
                until = at + rng.choice([1.0, 8.0])
                failures.append(Failure(instance=name, at_s=at, until_s=until))
    return SimulatedCluster(
        instances=tuple(instances),
        transfer_latency_s=rng.choice([0.0, 0.0, 0.25]),
        prefix_caching=rng.random() < 0.85,
        admission=rng.choice(["predicted", "prompt"]),
        failures=tuple(failures),
    )


def random_workflow(rng: random.Random, number: int, scale: int = 1) -> Workflow:
    calls: list[Call] = []
    for index in range(rng.randint(1, 6)):
        parents = [p for p in range(index) if rng.random() < 0.4]
        if rng.random() < 0.2 and parents:
            parents.append(parents[0])
        source = rng.choice([-1, *range(index)])
        prompt = rng.choice([1, 4, 16, rng.randint(1, 40 * scale)])
        limit = prompt
        if source >= 0:
            origin = calls[source]
            whole = origin.prompt_tokens + origin.output_tokens
            if rng.random() < 0.5:
                prompt = limit = whole + rng.randint(0, 4)
            limit = min(prompt, whole)
        calls.append(
            Call(
                prompt_tokens=prompt,
                output_tokens=rng.choice([0, 1, 2, 8, rng.randint(0, 30 * scale)]),
                parents=tuple(parents),
                tool_seconds=rng.choice([0.0, 0.0, 1.0, rng.uniform(0, 3)]),
                prefix_call=source,
                prefix_tokens=rng.choice([0, limit, rng.randint(0, limit)]),
            )
        )
    arrival = rng.choice([0.0, 1.0, 2.0, rng.uniform(0, 20)])
    return Workflow(f"w{number}", arrival, tuple(calls), prefix_group=rng.choice(["", "a"]))


def largest_call(workflows: Sequence[Workflow]) -> int:
    return max(
        call.prompt_tokens + max(0, call.output_tokens - 1)
        for workflow in workflows
        for call in workflow.calls
    )


def random_scenario(seed: int, scale: int = 1) -> tuple[SimulatedCluster, list[Workflow]]:
    rng = random.Random(seed)
    workflows = [random_workflow(rng, n, scale) for n in range(rng.randint(1, 8))]
    return random_cluster(rng, largest_call(workflows)), workflows


def choose(seed: int, call: int, attempt: int, prefills, decodes, mixed):
    """A place and priorities drawn from the call's number: the same in any simulator."""
    rng = random.Random(f"{seed} {call} {attempt}")
    pairs = [(p, d) for p in prefills for d in decodes] + [(m, m) for m in mixed]
    if not pairs:
        return None
    p, d = rng.choice(pairs)
    return p, d, float(rng.randint(0, 3)), float(rng.randint(0, 3))


def rank(seed: int, now: int, instance: int, calls: Sequence[int]) -> list[float]:
    """Priorities that change with the clock and the queue: the same in any simulator."""
    rng = random.Random(f"{seed} {now} {instance} {list(calls)}")
    return [float(rng.randint(0, 3)) for _ in calls]


def ranks(seed: int) -> bool:
    """Whether the policy of a scenario ranks queues anew: in every third."""
    return seed % 3 == 0


class Scripted:
    """The policy of `choose` and `rank`."""

    name = "scripted"
    epoch_s = None
    epoch_on_change = False

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.ranks_batches = ranks(seed)

    def start(self, view: ClusterView) -> None:
        pass

    def place(
        self, view: ClusterView, ready: Sequence[RevealedCall]
    ) -> Iterator[tuple[RevealedCall, Assignment]]:
        for call in ready:
            choice = choose(
                self.seed,
                call.number,
                call.attempt,
                [i.number for i in view.prefills if view.can_prefill(call, i.number)],
                [i.number for i in view.decodes if view.can_decode(call, i.number)],
                [i.number for i in view.mixed if view.can_mix(call, i.number)],
            )
            if choice is not None:
                yield call, Assignment(*choice)

    def plan(self, view: ClusterView) -> Plan | None:
        return None

    def rank(
        self, view: ClusterView, instance: int, queued: Sequence[RevealedCall]
    ) -> Sequence[float]:
        return rank(self.seed, view.now, instance, [call.number for call in queued])

    def completed(self, view: ClusterView, call: RevealedCall) -> None:
        pass


class Guess:
    """Predicts the truth times a factor drawn from the call's place."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def predict(self, workflow: Workflow, index: int) -> int:
        rng = random.Random(f"{self.seed} {workflow.name} {index}")
        return int(workflow.calls[index].output_tokens * rng.choice([0.0, 0.5, 1.0, 1.0, 2.0]))

    def observe(self, workflow: Workflow, index: int) -> None:
        pass
