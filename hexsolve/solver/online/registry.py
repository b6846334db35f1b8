"""Policies by name: named ones, and every ordering with every placement."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType

from hexsolve.models.errors import InputError, allowed
from hexsolve.models.plan import Plan
from hexsolve.models.simulation.policy import Policy
from hexsolve.solver.online.base import ComposedPolicy, Ordering, Placement
from hexsolve.solver.online.orderings.attained import ProgramLeastAttained, ThreadLeastAttained
from hexsolve.solver.online.orderings.deadline import EarliestDeadline, LeastLaxity, Urgency
from hexsolve.solver.online.orderings.fcfs import CallFCFS, WorkflowFCFS
from hexsolve.solver.online.orderings.size import HEFT, ShortestJob
from hexsolve.solver.online.placements.dynamo import DynamoRouter
from hexsolve.solver.online.placements.hexgen_flow import SpeedAndLoad
from hexsolve.solver.online.placements.least_work import LeastWork
from hexsolve.solver.online.placements.llm_d import PairScorer
from hexsolve.solver.online.placements.planned import PlannedSplit
from hexsolve.solver.online.placements.projected import EarliestCompletion
from hexsolve.solver.online.placements.round_robin import RoundRobin
from hexsolve.solver.online.placements.shortest_queue import PowerOfTwo, ShortestQueue
from hexsolve.solver.online.plugin import load_policy
from hexsolve.solver.online.rolling.options import RollingOptions

PLANNED = "planned"
"""The split of the plan that the cluster was deployed from; needs that plan."""


@dataclass(frozen=True, slots=True)
class OrderingEntry:
    """An ordering that ships."""

    summary: str
    source: str
    make: Callable[[], Ordering]


@dataclass(frozen=True, slots=True)
class PlacementEntry:
    """A placement that ships; `make` takes the seed of its draws."""

    summary: str
    source: str
    make: Callable[[int], Placement]


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """A policy that ships: an ordering and a placement, or one of its own (both None)."""

    summary: str
    ordering: str | None = None
    placement: str | None = None
    source: str = ""


ORDERINGS: MappingProxyType[str, OrderingEntry] = MappingProxyType(
    {
        "call-fcfs": OrderingEntry("calls in the order of their reveal", "", CallFCFS),
        "workflow-fcfs": OrderingEntry(
            "calls in the order in which their workflows arrived", "", WorkflowFCFS
        ),
        "sjf": OrderingEntry("the shortest predicted call first", "", ShortestJob),
        "edf": OrderingEntry(
            "the earliest deadline a_w + α·H_w first, α = 3", "", EarliestDeadline
        ),
        "llf": OrderingEntry(
            "the least laxity of the workflow first, α = 3", "arXiv 2605.16637", LeastLaxity
        ),
        "heft": OrderingEntry(
            "the largest upward rank on the revealed frontier first",
            "doi 10.1109/71.993206",
            HEFT,
        ),
        "plas": OrderingEntry(
            "the program with the least attained service first",
            "arXiv 2502.13965",
            ProgramLeastAttained,
        ),
        "atlas": OrderingEntry(
            "the least attained service along the longest path first",
            "arXiv 2502.13965",
            ThreadLeastAttained,
        ),
        "urgency": OrderingEntry(
            "the least left of the call's share of the SLO first", "arXiv 2505.05286", Urgency
        ),
    }
)

PLACEMENTS: MappingProxyType[str, PlacementEntry] = MappingProxyType(
    {
        "round-robin": PlacementEntry("in turn", "", lambda _: RoundRobin()),
        "power-of-two": PlacementEntry(
            "the shorter queue of two drawn instances", "doi 10.1109/71.963420", PowerOfTwo
        ),
        "least-work": PlacementEntry(
            "the least expected work in seconds, caches counted", "", lambda _: LeastWork()
        ),
        "splitwise": PlacementEntry(
            "the fewest pending tokens", "arXiv 2311.18677", lambda _: ShortestQueue()
        ),
        "dynamo": PlacementEntry(
            "the least prefill blocks not cached plus decode blocks",
            "github.com/ai-dynamo/dynamo",
            lambda _: DynamoRouter(),
        ),
        "llm-d": PlacementEntry(
            "the most TTFT and TPOT headroom over all pairs",
            "github.com/llm-d/llm-d-inference-scheduler",
            lambda _: PairScorer(),
        ),
        "hexgen-flow": PlacementEntry(
            "speed against load over all pairs", "arXiv 2505.05286", lambda _: SpeedAndLoad()
        ),
        "earliest-completion": PlacementEntry(
            "the pair of earliest projected completion",
            "arXiv 2605.16637",
            lambda _: EarliestCompletion(),
        ),
    }
)


def _pair(ordering: str, placement: str, summary: str, source: str = "") -> PolicyEntry:
    return PolicyEntry(summary, ordering, placement, source)


POLICIES: MappingProxyType[str, PolicyEntry] = MappingProxyType(
    {
        "round-robin": _pair("call-fcfs", "round-robin", "each call to the next instance in turn"),
        "power-of-two": _pair(
            "call-fcfs", "power-of-two", "the better of two drawn instances", "Mitzenmacher 2001"
        ),
        "least-work": _pair("call-fcfs", "least-work", "least expected work, calls by reveal"),
        "per-call-fcfs": _pair("call-fcfs", "least-work", "another name of least-work"),
        "workflow-fcfs": _pair(
            "workflow-fcfs", "least-work", "workflows in line, least expected work"
        ),
        "sjf": _pair("sjf", "least-work", "shortest call first, least expected work"),
        "edf": _pair("edf", "least-work", "earliest deadline first, least expected work"),
        "llf": _pair(
            "llf", "least-work", "least laxity first, least expected work", "arXiv 2605.16637"
        ),
        "heft": _pair(
            "heft",
            "earliest-completion",
            "upward rank, earliest finish: HEFT on the frontier",
            "doi 10.1109/71.993206",
        ),
        "plas": _pair("plas", "least-work", "Autellix for chains of calls", "arXiv 2502.13965"),
        "atlas": _pair("atlas", "least-work", "Autellix for parallel calls", "arXiv 2502.13965"),
        "splitwise-jsq": _pair(
            "call-fcfs", "splitwise", "Splitwise's shortest queues", "arXiv 2311.18677"
        ),
        "dynamo": _pair(
            "call-fcfs", "dynamo", "NVIDIA Dynamo's KV router", "github.com/ai-dynamo/dynamo"
        ),
        "llm-d": _pair(
            "call-fcfs",
            "llm-d",
            "llm-d's pair scorer",
            "github.com/llm-d/llm-d-inference-scheduler",
        ),
        "hexgen-flow": _pair(
            "urgency", "hexgen-flow", "HexGen-Flow's dispatch and queue", "arXiv 2505.05286"
        ),
        "hexagent": PolicyEntry(
            "largest projected slowdown first, to the earliest completion",
            source="arXiv 2605.16637",
        ),
        "rolling-cpsat": PolicyEntry(
            "rolling-horizon CP-SAT on top of the rule with congestion prices", source="hexsolve"
        ),
    }
)


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """What a policy may need besides its name.

    Attributes
    ----------
    plan : Plan or None
        The one behind the cluster, for `PLANNED`.
    seed : int
        Of a policy that draws.
    rolling : RollingOptions
        Of ``rolling-cpsat``.
    """

    plan: Plan | None = None
    seed: int = 0
    rolling: RollingOptions = field(default_factory=RollingOptions)


def make_policy(name: str, options: PolicyOptions | None = None) -> Policy:
    """Return a new policy called `name`.

    Parameters
    ----------
    name : str
        A key of `POLICIES`, ``ORDERING+PLACEMENT`` of any two, ``FILE.py:CLASS``, or `PLANNED`.
    options : PolicyOptions, optional

    Raises
    ------
    InputError
        If there is none of that name, or it needs a plan and has none.
    """
    options = options or PolicyOptions()
    if ":" in name:
        return load_policy(name)
    check_policy(name)
    if name == PLANNED:
        if options.plan is None:
            raise InputError(f"{name!r} needs a plan to follow", field="policy")
        return ComposedPolicy(PLANNED, CallFCFS(), PlannedSplit(options.plan, options.seed))
    # Numba and CP-SAT take a second to load.
    if name == "hexagent":
        from hexsolve.solver.online.hexagent import HexAGenT

        return HexAGenT()
    if name == "rolling-cpsat":
        from hexsolve.solver.online.rolling.planner import RollingPlanner

        return RollingPlanner(options.rolling)
    ordering, placement = _parts(name)
    return ComposedPolicy(
        name, ORDERINGS[ordering].make(), PLACEMENTS[placement].make(options.seed)
    )


def _parts(name: str) -> tuple[str, str]:
    entry = POLICIES.get(name)
    if entry is not None and entry.ordering is not None and entry.placement is not None:
        return entry.ordering, entry.placement
    ordering, _, placement = name.partition("+")
    return ordering, placement


def check_policy(name: str) -> None:
    """Raise `InputError` unless there is a policy called `name`."""
    if name in POLICIES or name == PLANNED:
        return
    if ":" in name:
        load_policy(name)
        return
    if "+" in name:
        ordering, placement = _parts(name)
        if ordering not in ORDERINGS:
            raise InputError(
                f"unknown ordering {ordering!r}; allowed: {allowed(ORDERINGS)}", field="policy"
            )
        if placement not in PLACEMENTS:
            raise InputError(
                f"unknown placement {placement!r}; allowed: {allowed(PLACEMENTS)}", field="policy"
            )
        return
    raise InputError(
        f"unknown policy {name!r}; allowed: {allowed([*POLICIES, PLANNED])}, or "
        "ORDERING+PLACEMENT as in `hexsolve policies`, or FILE.py:CLASS of your own",
        field="policy",
    )
