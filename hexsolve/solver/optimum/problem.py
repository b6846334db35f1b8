"""The scheduling problem as plain integers: calls, options and times in ticks of the grid.

A two-stage hybrid flow shop on unrelated machines with precedence, lags and cumulative KV;
docs/optimum.md states the model with the symbols used here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hexsolve.models.errors import InputError
from hexsolve.models.schedule import PERCENT, ScheduleObjective, ScheduleTimes
from hexsolve.models.simulation.checks import check_sizes
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.workflow import Workflow
from hexsolve.solver.optimum.sharing import Sharing
from hexsolve.solver.optimum.times import CallTimes, DecodeTimes, kv_in_use

ANYWHERE = -1


@dataclass(frozen=True, slots=True)
class Prefill:
    """One way to prefill a call: on instance `p` with `cached` tokens found there.

    Attributes
    ----------
    source : int
        Call that has to be prefilled on p before, or `ANYWHERE`.
    ordered : bool
        Whether the model must see to that order; ancestors come before anyway.
    occupied, lead, latency : int
        Ticks for which p is occupied from the start; from the start to the earliest end; from
        when the call is ready to the earliest end.
    """

    p: int
    cached: int
    source: int
    ordered: bool
    occupied: int
    lead: int
    latency: int

    def dominates(self, other: "Prefill") -> bool:
        """Return whether this takes less time than `other` in one way and no more in any."""
        mine = (self.occupied, self.lead, self.latency)
        others = (other.occupied, other.lead, other.latency)
        return mine != others and all(a <= b for a, b in zip(mine, others, strict=True))


@dataclass(frozen=True, slots=True)
class ProblemCall:
    """One call; times in ticks.

    Attributes
    ----------
    workflow, index : int
        Position of the workflow in the instance and of the call in it.
    release : int
        Earliest start of a call without parents, else 0.
    parents : tuple of (int, int)
        Positions of calls that must finish, and the delay after each.
    prefills : tuple of Prefill
    decodes : tuple of (int, int)
        Decode instances and the time of all steps there; empty if there is nothing to decode.
    lag_out, lag_in : dict of int to int
        Transfer time as the prefill and as the decode instance's link allows; the larger counts.
    prefill_kv, decode_kv : int
        Tokens held at the prefill instance until the transfer ends, and at the decode instance.
    """

    workflow: int
    index: int
    release: int
    parents: tuple[tuple[int, int], ...]
    prefills: tuple[Prefill, ...]
    decodes: tuple[tuple[int, int], ...]
    lag_out: dict[int, int]
    lag_in: dict[int, int]
    prefill_kv: int
    decode_kv: int

    def lag(self, p: int, d: int) -> int:
        """Return the time of the transfer from p to d."""
        return max(self.lag_out[p], self.lag_in[d])


@dataclass(frozen=True, slots=True)
class SchedulingProblem:
    """All calls in the order of workflows and positions, and the instances' capacities.

    Attributes
    ----------
    first : tuple of int
        Position of each workflow's first call; one more at the end.
    arrival_s, horizon_s : tuple of float
        a_w and H_w.
    prefill_rows, decode_rows : tuple of int
        Instances in each role.
    kinds : dict of int to int
        Instances with equal numbers are equal.
    slots, decode_room, prefill_room : dict of int to int
        Calls and tokens of KV that an instance holds at once.
    """

    cluster: SimulatedCluster
    times: ScheduleTimes
    objective: ScheduleObjective
    calls: tuple[ProblemCall, ...]
    first: tuple[int, ...]
    arrival_s: tuple[float, ...]
    horizon_s: tuple[float, ...]
    prefill_rows: tuple[int, ...]
    decode_rows: tuple[int, ...]
    kinds: dict[int, int]
    slots: dict[int, int]
    prefill_room: dict[int, int]
    decode_room: dict[int, int]

    @property
    def workflows(self) -> int:
        """Number of workflows n."""
        return len(self.arrival_s)

    @property
    def spare(self) -> int:
        """Workflows that may exceed α: ``n − ⌈q·n/100⌉``."""
        return self.workflows - -(-PERCENT[self.objective] * self.workflows // 100)

    def of(self, workflow: int) -> range:
        """Return the positions of a workflow's calls."""
        return range(self.first[workflow], self.first[workflow + 1])

    def slowdown(self, workflow: int, finish: int) -> float:
        """Return ``max(0, finish · grid − a_w) / H_w``; ticks may be rounded below a_w."""
        flow = finish * self.times.grid_s - self.arrival_s[workflow]
        return max(0.0, flow) / self.horizon_s[workflow]

    def deadline(self, workflow: int, alpha: float, strict: bool = False) -> int:
        """Return the latest finish with a slowdown of at most α, or less than α if `strict`."""
        if strict and alpha <= 0.0:
            return -1
        limit = self.arrival_s[workflow] + alpha * self.horizon_s[workflow]
        tick = int(limit / self.times.grid_s) + 2
        while (value := self.slowdown(workflow, tick)) > alpha or (strict and value >= alpha):
            tick -= 1
        return tick


def build_problem(
    cluster: SimulatedCluster,
    workflows: Sequence[Workflow],
    horizons: Sequence[float],
    times: ScheduleTimes,
    objective: ScheduleObjective,
) -> SchedulingProblem:
    """Return the scheduling problem of an instance.

    Parameters
    ----------
    cluster : SimulatedCluster
    workflows : sequence of Workflow
    horizons : sequence of float
        H_w of each workflow, s.
    times : ScheduleTimes
    objective : str

    Raises
    ------
    InputError
        If the cluster has mixed instances or failures, or a call fits nowhere.
    """
    if cluster.with_role("mixed"):
        raise InputError(
            "has mixed instances, which the scheduling model does not cover; allowed: prefill and "
            "decode instances",
            field="cluster.instances",
        )
    if cluster.failures:
        raise InputError("is not empty; the scheduling model knows none", field="cluster.failures")
    check_sizes(cluster, workflows)
    rows = range(len(cluster.instances))
    alike: list[object] = []
    kinds: dict[int, int] = {}
    for row in rows:
        nameless = cluster.instances[row].model_copy(update={"name": "any"})
        if nameless not in alike:
            alike.append(nameless)
        kinds[row] = alike.index(nameless)
    calls: list[ProblemCall] = []
    first = [0]
    decode = DecodeTimes(cluster, times)
    for number, workflow in enumerate(workflows):
        sharing = Sharing(workflow, cluster.prefix_caching)
        made = CallTimes(cluster, times, workflow, sharing)
        calls += [
            _call(made, decode, number, index, first[-1]) for index in range(len(workflow.calls))
        ]
        first.append(len(calls))
    decode_rows = tuple(cluster.with_role("decode"))
    return SchedulingProblem(
        cluster=cluster,
        times=times,
        objective=objective,
        calls=tuple(calls),
        first=tuple(first),
        arrival_s=tuple(workflow.arrival_s for workflow in workflows),
        horizon_s=tuple(horizons),
        prefill_rows=tuple(cluster.with_role("prefill")),
        decode_rows=decode_rows,
        kinds=kinds,
        slots=_slots(cluster, times),
        prefill_room={row: cluster.instances[row].capacity for row in rows},
        decode_room={row: cluster.instances[row].capacity for row in rows},
    )


def with_decode_batch(
    problem: SchedulingProblem, workflows: Sequence[Workflow], batch: int
) -> SchedulingProblem:
    """Return what `build_problem` makes of the same with another decode batch, only sooner."""
    times = problem.times.model_copy(update={"decode_batch": batch})
    decode = DecodeTimes(problem.cluster, times)
    calls = tuple(
        replace(
            call,
            decodes=tuple(
                (d, decode.all_steps(workflows[call.workflow].calls[call.index], d))
                for d, _ in call.decodes
            ),
        )
        for call in problem.calls
    )
    return replace(problem, times=times, calls=calls, slots=_slots(problem.cluster, times))


def _slots(cluster: SimulatedCluster, times: ScheduleTimes) -> dict[int, int]:
    most = {d: cluster.instances[d].max_batch for d in cluster.with_role("decode")}
    if times.mode == "optimistic":
        return most
    return {d: min(batch, times.decode_batch) for d, batch in most.items()}


def _call(made: CallTimes, decode: DecodeTimes, number: int, index: int, base: int) -> ProblemCall:
    workflow = made.workflow
    call = workflow.calls[index]
    delay = made.delay(index)
    prefills = []
    # The most cached first: of equal ends lists take the first, as the model wants it.
    hits = sorted(made.hits(index), key=lambda hit: -hit[1])
    for p in made.cluster.with_role("prefill"):
        if made.cluster.instances[p].capacity < call.prompt_tokens:
            continue
        for source, cached, ordered in hits:
            occupied, lead, latency = made.prefill(index, p, cached)
            there = ANYWHERE if source < 0 else base + source
            prefills.append(Prefill(p, cached, there, ordered, occupied, lead, latency))
    prefills = _without_recomputing(made, prefills, base)
    decodes = []
    if call.output_tokens >= 2:
        needed = call.prompt_tokens + call.output_tokens - 1
        decodes = [
            (d, decode.all_steps(call, d))
            for d in made.cluster.with_role("decode")
            if made.cluster.instances[d].capacity >= needed
        ]
    prefill_kv, decode_kv = kv_in_use(made, index)
    return ProblemCall(
        workflow=number,
        index=index,
        release=0 if call.parents else made.release(index),
        parents=tuple((base + parent, delay) for parent in sorted(set(call.parents))),
        prefills=tuple(prefills),
        decodes=tuple(decodes),
        lag_out={p: made.lag(index, p) for p in made.cluster.with_role("prefill")},
        lag_in={d: made.lag(index, d) for d in made.cluster.with_role("decode")},
        prefill_kv=prefill_kv,
        decode_kv=decode_kv,
    )


def _without_recomputing(made: CallTimes, prefills: list[Prefill], base: int) -> list[Prefill]:
    """Drop options without a cache that the call's ancestor is sure to have left on p.

    Where an ancestor can be prefilled on one instance only, what it shares is there.
    """
    rows = [made.cluster.instances[p].capacity for p in made.cluster.with_role("prefill")]
    sure = {
        option.p: option
        for option in prefills
        if option.source != ANYWHERE
        and not option.ordered
        and sum(room >= made.workflow.calls[option.source - base].prompt_tokens for room in rows)
        == 1
    }
    return [
        option
        for option in prefills
        if option.source != ANYWHERE or option.p not in sure or not sure[option.p].dominates(option)
    ]
