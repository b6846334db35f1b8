"""The checker's own arithmetic, against figures worked out by hand and against other routes."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.models.check import check_plan
from hexsolve.models.check.packing import nodes_needed
from hexsolve.models.check.promises import standalone_horizon, workflow_latency
from hexsolve.models.check.seconds import batch_overhead, batch_share, linear_step, prefill_alone
from hexsolve.models.check.totals import price_per_hour
from hexsolve.models.check.transfer import transfer_seconds_per_s
from hexsolve.models.check.view import resolve
from hexsolve.models.hardware import NodePool
from hexsolve.models.latency import PrefillCoefficients
from hexsolve.models.plan import Plan
from hexsolve.models.workload import WorkflowClass
from tests.models.check.example import LATENCY, PLAN, PROBLEM, call, changed, engine, flow
from tests.models.check.restate import restated

quick = settings(deadline=None, derandomize=True, max_examples=200)


def with_pools(**fields: object) -> tuple[NodePool, ...]:
    return tuple(pool.model_copy(update=fields) for pool in PROBLEM.cluster.pools)


# --- packing --------------------------------------------------------------------------------


def fewest_nodes(stages: list[int], gpus_per_node: int) -> int:
    """Try every way to put the stages, one after another, into open nodes or a new one."""
    best = len(stages)

    def put(index: int, rooms: tuple[int, ...]) -> None:
        nonlocal best
        if len(rooms) >= best:
            return
        if index == len(stages):
            best = len(rooms)
            return
        for room in sorted({room for room in rooms if room >= stages[index]}):
            rest = list(rooms)
            rest.remove(room)
            put(index + 1, tuple(sorted([*rest, room - stages[index]])))
        put(index + 1, tuple(sorted([*rooms, gpus_per_node - stages[index]])))

    put(0, ())
    return best


@quick
@given(
    st.lists(st.sampled_from([1, 2, 4, 8]), min_size=1, max_size=7),
    st.integers(min_value=8, max_value=19),
)
def test_packing_needs_the_fewest_nodes(stages: list[int], gpus_per_node: int) -> None:
    sizes = {size: stages.count(size) for size in stages}
    assert nodes_needed(sizes, gpus_per_node) == fewest_nodes(stages, gpus_per_node)


@quick
@given(
    st.dictionaries(
        st.sampled_from([1, 2, 4, 8, 16]), st.integers(min_value=0, max_value=10**6), min_size=1
    ),
    st.integers(min_value=16, max_value=72),
)
def test_packing_agrees_with_the_condition_in_the_documentation(
    sizes: dict[int, int], gpus_per_node: int
) -> None:
    """Stages fit exactly when Σ_{tp ≥ q} stages · tp/q ≤ nodes · ⌊gpus_per_node / q⌋, all q."""
    documented = 0
    for q in sizes:
        pieces = sum(number * (size // q) for size, number in sizes.items() if size >= q)
        documented = max(documented, math.ceil(pieces / (gpus_per_node // q)))
    assert nodes_needed(sizes, gpus_per_node) == documented


def test_a_stage_larger_than_a_node_cannot_be_packed() -> None:
    assert nodes_needed({8: 1}, 4) is None
    assert nodes_needed({8: 0, 1: 3}, 4) == 1


def test_cost_by_node() -> None:
    """2 GPUs of A and 2 of B, whole nodes of 4: 4 · 1 + 4 · 2; of 1: the GPUs themselves."""
    for gpus_per_node, price in ((4, 12.0), (1, 6.0)):
        pools = with_pools(billing="node", gpus_per_node=gpus_per_node, nodes=9)
        cluster = PROBLEM.cluster.model_copy(update={"pools": pools})
        view = resolve(PROBLEM.model_copy(update={"cluster": cluster}), PLAN)
        assert price_per_hour(view) == price


def test_the_pools_price_goes_before_the_catalogs() -> None:
    cluster = PROBLEM.cluster.model_copy(update={"pools": with_pools(price_per_hour=0.5)})
    view = resolve(PROBLEM.model_copy(update={"cluster": cluster}), PLAN)
    assert price_per_hour(view) == 2.0


# --- latencies ------------------------------------------------------------------------------


def test_refined_prefill_coefficients() -> None:
    """knee 50, budget 200: beyond the knee 50 of 100 tokens; the chord rises by 1 − 50/200."""
    refined = PrefillCoefficients(
        p0=0.02, p1=0.0005, p2=2e-6, p3=0.001, knee=50, p4=0.01, scale=100 / math.log(2)
    )
    e = engine("A").model_copy(update={"prefill": refined})
    # 0.1 + 0.001 · 50 + 0.01 · (1 − 1/2).
    assert prefill_alone(e, call("c")) == pytest.approx(0.155)
    assert batch_overhead(e) == pytest.approx(0.03)
    # 0.08 + 0.001 · 0.75 · 100.
    assert batch_share(e, call("c"), 200) == pytest.approx(0.155)
    assert batch_share(e, call("c"), 40) == pytest.approx(0.08)
    slow = e.model_copy(update={"prefill": refined.model_copy(update={"floor": 0.5})})
    assert prefill_alone(slow, call("c")) == 0.5
    assert batch_overhead(slow) == 0.5


def test_linear_step_of_a_mixture_of_experts() -> None:
    """Share 1/2, reference batch 2: touched 3/4, slope ln 2 / 4, so c0 = d0 + d3·(3/4 − ln 2/2)."""
    sparse = {"d3": 0.4, "active_share": 0.5}
    e = engine("B")
    e = e.model_copy(update={"decode": e.decode.model_copy(update=sparse)})
    engines = (e, *(other for other in PROBLEM.engines if other.gpu != "B"))
    problem = PROBLEM.model_copy(update={"engines": engines})
    plan = changed(PLAN, "decode", point__batch_reference=2.0)
    group = resolve(problem, plan).groups[2]
    c0, c1, c2 = linear_step(group)
    assert c0 == pytest.approx(0.01 + 0.3 - 0.2 * math.log(2))
    assert c1 == pytest.approx(0.001 + 0.1 * math.log(2))
    assert c2 == 1e-5
    all_experts = e.decode.model_copy(update={"active_share": 1.0})
    e = e.model_copy(update={"decode": all_experts})
    problem = PROBLEM.model_copy(update={"engines": (e, *engines[1:])})
    assert linear_step(resolve(problem, plan).groups[2]) == pytest.approx((0.41, 0.001, 1e-5))


def test_a_pipeline_waits_as_a_queue_of_its_stages() -> None:
    """With pp = 2 a call takes 0.1 s but keeps a stage busy for 0.05 s."""
    plan = changed(PLAN, "single", pp=2, point__wait_s=0.002)
    # 1 · (0.05² + 2 · 0.002 · 0.05) against 2 · 0.002: within it.
    assert check_plan(PROBLEM, restated(PROBLEM, plan)) == []
    plan = changed(plan, "single", point__wait_s=0.0005)
    (violation,) = check_plan(PROBLEM, restated(PROBLEM, plan))
    assert violation.rule == "prefill_wait"
    assert violation.amount == pytest.approx(0.0025 + 0.00005)


def test_bursts_and_variation_lengthen_the_wait() -> None:
    """β = 3 and cv = 2: 1 · (3 · 0.1² · (1 + 2²) + 2 · 0.05 · 0.1) against 2 · 0.05."""
    (workflow,) = PROBLEM.workload.classes
    calls = tuple(c.model_copy(update={"new_tokens_cv": 2.0}) for c in workflow.calls)
    spread = workflow.model_copy(update={"calls": calls, "ttft_limit_s": None})
    workload = PROBLEM.workload.model_copy(update={"classes": (spread,), "burstiness": 3.0})
    problem = PROBLEM.model_copy(update={"workload": workload, "slo_scale": None})
    plan = changed(PLAN, "single", point__wait_s=0.05)
    waits = {
        violation.ids["group"]: violation
        for violation in check_plan(problem, restated(problem, plan))
    }
    assert waits["single"].rule == "prefill_wait"
    assert waits["single"].amount == pytest.approx(0.16)
    # 1 · (3 · 0.11² · (5 + 0.5) + 2 · 0.1 · 0.11) against 2 · 0.1.
    assert waits["mixed"].rule == "mixed_wait"
    assert waits["mixed"].amount == pytest.approx(0.22165)


def test_chunks() -> None:
    """100 tokens in chunks of 30 take 4 steps: 0.08 + 4 · 0.03 on top of wait and half a step."""
    assumptions = PROBLEM.assumptions.model_copy(update={"chunk_tokens": 30})
    problem = PROBLEM.model_copy(update={"assumptions": assumptions})
    (workflow,) = problem.workload.classes
    # Half of act's calls take 0.09 s longer than in the example and wait for 0.25 · 0.09 s more of
    # their sibling; chunks that come in the meantime, a quarter of it, delay the end by a third
    # of it. The last is later by ln 1.5 times both delays and by 0.5 · 0.25 · 0.09 s.
    stretch = 0.1125 / 3.0
    later = 0.5 * (0.1125 + stretch + math.log(1.5) * (0.0225 + stretch) + 0.01125)
    assert workflow_latency(resolve(problem, PLAN), workflow) == pytest.approx(LATENCY + later)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_longest_path_in_any_order_of_the_file(order: tuple[int, ...]) -> None:
    """A diamond: the branch through b, repeated twice after a second of tools, is the longest."""
    calls = (
        call("a"),
        call("b", after=("a",), repeat=2.0, tool_seconds=1.0),
        call("c", after=("a",), tool_seconds=2.0),
        call("d", after=("b", "c")),
    )
    workflow = WorkflowClass(name="w", rate_per_s=1.0, calls=tuple(calls[i] for i in order))
    # Each call alone takes 0.23055 s, see `PLAN`.
    assert standalone_horizon(PROBLEM, workflow) == pytest.approx(4 * 0.23055 + 2.0)


def test_the_horizon_without_mixed_engines_sends_kv() -> None:
    """Prefill and decode on B: 0.1 s + 0.2e6 / 2e6 s of transfer; mixed engines aside."""
    problem = PROBLEM.model_copy(update={"roles": ("prefill", "decode")})
    (workflow,) = problem.workload.classes
    expected = 1.0 + 2 * (0.23055 + 0.1 + 0.1)
    assert standalone_horizon(problem, workflow) == pytest.approx(expected)


def test_the_horizon_uses_only_engines_that_the_inventory_holds() -> None:
    """A much faster engine of 8 GPUs fits into no node of 4."""
    fast = engine("A", tp=8).model_copy(update={"prefill": PrefillCoefficients(p0=0, p1=0, p2=0)})
    problem = PROBLEM.model_copy(update={"engines": (fast, engine("B"))})
    (workflow,) = problem.workload.classes
    assert standalone_horizon(problem, workflow) == pytest.approx(1.4611)
    pools = with_pools(gpus_per_node=8)
    problem = problem.model_copy(
        update={"cluster": PROBLEM.cluster.model_copy(update={"pools": pools})}
    )
    assert standalone_horizon(problem, workflow) == pytest.approx(1.4611 - 0.2)


def test_a_call_that_fits_nowhere_has_no_horizon() -> None:
    huge = WorkflowClass(name="w", rate_per_s=1.0, calls=(call("a", new_tokens=5000),))
    assert standalone_horizon(PROBLEM, huge) is None


# --- transfers ------------------------------------------------------------------------------


def with_flows(senders: tuple[float, float], receivers: tuple[float, float]) -> Plan:
    """Calls per second of act on prefill A (slow), B (fast) and on decode A, B."""
    prefill, decode = PLAN.groups[0], PLAN.groups[2]
    groups = [
        group.model_copy(
            update={"id": f"{group.role}-{gpu}", "gpu": gpu, "flows": (flow("act", calls_per_s),)}
        )
        for group, flows in ((prefill, senders), (decode, receivers))
        for gpu, calls_per_s in zip(("A", "B"), flows, strict=True)
    ]
    return PLAN.model_copy(update={"groups": tuple(groups)})


def test_fast_links_are_paired_with_fast_links() -> None:
    """B sends 3 and receives 2 calls/s: 2 fast transfers of 0.3 s, 3 slow ones of 0.5 s."""
    view = resolve(PROBLEM, with_flows((2.0, 3.0), (3.0, 2.0)))
    act = PROBLEM.workload.classes[0].calls[1]
    assert transfer_seconds_per_s(view, "agent", act) == pytest.approx(2 * 0.3 + 3 * 0.5)


@quick
@given(
    st.floats(min_value=0.01, max_value=100),
    st.floats(min_value=0.0, max_value=1.0),
    st.floats(min_value=0.0, max_value=1.0),
)
def test_the_slower_side_decides(total: float, sent_fast: float, received_fast: float) -> None:
    """The documentation's way: the share of slow transfers is the larger of both sides'."""
    plan = with_flows(
        (total * (1 - sent_fast), total * sent_fast),
        (total * (1 - received_fast), total * received_fast),
    )
    slow = max(1 - sent_fast, 1 - received_fast)
    act = PROBLEM.workload.classes[0].calls[1]
    seconds = transfer_seconds_per_s(resolve(PROBLEM, plan), "agent", act)
    assert seconds == pytest.approx(total * (slow * 0.5 + (1 - slow) * 0.3))
