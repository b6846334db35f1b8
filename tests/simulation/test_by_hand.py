"""Small runs worked out by hand, and what simulators in use get wrong."""

import numpy as np
import pytest

from hexsolve.models.errors import InputError
from hexsolve.models.latency import DecodeCoefficients, PrefillCoefficients
from hexsolve.models.simulation.cluster import Failure, SimulatedCluster
from hexsolve.models.simulation.engine import Simulation, SimulationError
from hexsolve.models.simulation.measures import summarise
from hexsolve.models.simulation.policy import Assignment, BasePolicy, Plan, PolicyError
from hexsolve.models.simulation.record import RunRecord
from hexsolve.models.workflow import Call, Workflow
from hexsolve.solver.online.predictors import OraclePredictor
from hexsolve.solver.online.registry import make_policy
from tests.simulation.engines import cluster, engine


def run(on: SimulatedCluster, workflows: list[Workflow], policy: str = "round-robin") -> RunRecord:
    return Simulation(on, workflows, make_policy(policy), OraclePredictor()).run()


def chain(*calls: Call, arrival: float = 0.0, name: str = "w") -> Workflow:
    return Workflow(name, arrival, calls)


def test_one_call():
    # prefill 100 tokens 0.1 s; transfer 100 kB at 1 MB/s 0.1 s plus 0.05 s; then nine steps of
    # 0.011 s + 1 µs per context token, which is 100, 101, … 108.
    record = run(cluster(transfer_latency_s=0.05), [chain(Call(100, 10))])
    assert record.times["first_token"][0] == pytest.approx(0.1)
    assert record.times["landed"][0] == pytest.approx(0.25)
    assert record.finish[0] == pytest.approx(0.25 + 9 * 0.011 + 936e-6)


@pytest.mark.parametrize("output", [0, 1])
def test_a_call_of_at_most_one_token_ends_with_its_prefill(output):
    record = run(cluster(), [chain(Call(100, output))])
    assert record.finish[0] == pytest.approx(0.1)
    assert record.counts["transferred"][0] == 0
    assert (record.times["first_token"][0] >= 0) == bool(output)


def test_child_finds_the_prompt_on_prefill_and_all_of_it_on_decode():
    first = Call(100, 11)
    second = Call(150, 2, parents=(0,), tool_seconds=1.0, prefix_call=0, prefix_tokens=111)
    record = run(cluster(), [chain(first, second)])
    # The prefill side holds the 100 prompt tokens, the decode side also 10 generated ones.
    assert record.counts["cached"][1] == 100
    assert record.counts["computed"][1] == 50
    assert record.counts["transferred"][1] == 40
    assert record.times["revealed"][1] == pytest.approx(record.times["finished"][0] + 1.0)


def test_without_prefix_caching_everything_is_computed_again():
    first = Call(100, 11)
    second = Call(150, 2, parents=(0,), prefix_call=0, prefix_tokens=111)
    record = run(cluster(prefix_caching=False), [chain(first, second)])
    assert record.counts["computed"][1] == record.counts["transferred"][1] == 150


def test_decode_time_sees_the_batch():
    alone = run(cluster(), [chain(Call(100, 50))])
    both = run(cluster(), [chain(Call(100, 50), name="a"), chain(Call(100, 50), name="b")])
    assert both.finish[0] - both.times["landed"][0] > 1.04 * (alone.finish[0] - 0.2)


def test_gpu_type_sets_the_pace():
    slow = engine(PrefillCoefficients(p0=0, p1=0.002, p2=0), DecodeCoefficients(d0=0.1, d1=0, d2=0))
    fast = run(cluster(), [chain(Call(100, 10))])
    mixed = run(cluster(performance=slow), [chain(Call(100, 10))])
    assert mixed.times["first_token"][0] == pytest.approx(2 * fast.times["first_token"][0])
    assert mixed.finish[0] - mixed.times["landed"][0] == pytest.approx(0.9)


def test_two_transfers_share_the_link():
    # Both are prefilled in one batch of 0.2 s; 100 kB each over 1 MB/s, shared: 0.2 s.
    on = cluster(decodes=2)
    record = run(on, [chain(Call(100, 2), name="a"), chain(Call(100, 2), name="b")])
    assert list(record.times["landed"]) == pytest.approx([0.4, 0.4])


def test_batches_respect_the_token_budget():
    on = cluster(instance_options={"token_budget": 150})
    record = run(on, [chain(Call(100, 1), name="a"), chain(Call(100, 1), name="b")])
    assert list(record.finish) == pytest.approx([0.1, 0.2])


class Optimist(OraclePredictor):
    def predict(self, workflow: Workflow, index: int) -> int:
        return 1


def test_overrun_preempts_the_last_and_nothing_is_lost():
    on = cluster(performance=engine(capacity=320))
    workflows = [chain(Call(100, 150), name="a"), chain(Call(100, 150), name="b", arrival=0.01)]
    record = Simulation(on, workflows, make_policy("round-robin"), Optimist()).run()
    assert list(record.counts["preemptions"]) == [0, 1]
    assert list(record.counts["output_tokens"]) == [150, 150]
    # With the truth the second waits for admission instead.
    assert sum(run(on, workflows).counts["preemptions"]) == 0


def test_failed_instance_is_survived():
    failure = Failure(instance="d0", at_s=0.5)
    on = cluster(decodes=2, failures=(failure,))
    workflows = [chain(Call(100, 200), name=f"w{i}") for i in range(4)]
    record = run(on, workflows)
    assert list(record.counts["output_tokens"]) == [200] * 4
    assert set(record.counts["decode"]) == {2}
    without = run(cluster(decodes=2), workflows)
    assert max(record.finish) > max(without.finish)


def test_calls_that_nobody_can_take_are_named():
    on = cluster(failures=(Failure(instance="d0", at_s=0.0),))
    with pytest.raises(SimulationError, match="first call 0 of workflow 'w'"):
        run(on, [chain(Call(100, 20))])


def test_a_call_larger_than_every_pool_is_refused_up_front():
    on = cluster(performance=engine(capacity=100))
    run(on, [chain(Call(90, 11))])
    with pytest.raises(InputError, match=r"workflow 'w'.calls\[1\].*at most 100 tokens"):
        run(on, [chain(Call(10, 1), Call(90, 12))])


class Misplacer(BasePolicy):
    name = "misplacer"

    def place(self, view, ready):
        return [(call, Assignment(1, 0, 0.0)) for call in ready]


def test_impossible_assignments_are_refused():
    with pytest.raises(PolicyError, match="'misplacer' places call 0"):
        Simulation(cluster(), [chain(Call(10, 2))], Misplacer(), OraclePredictor()).run()


class Planner(BasePolicy):
    """Places nothing at once; every epoch plans all waiting calls, and applies 0.2 s later."""

    name = "planner"
    epoch_s = 0.5

    def __init__(self) -> None:
        self.epochs: list[float] = []

    def plan(self, view):
        self.epochs.append(view.now_s)
        calls = view.waiting
        return Plan([(call, Assignment(0, 1, -call.number)) for call in calls], latency_s=0.2)


def test_plans_apply_after_their_latency():
    planner = Planner()
    workflows = [chain(Call(100, 2), name=f"w{i}") for i in range(3)]
    on = cluster(instance_options={"max_batch": 1})
    record = Simulation(on, workflows, planner, OraclePredictor()).run()
    assert planner.epochs[0] == pytest.approx(0.5)
    # Last come, first served, from 0.7 s on.
    assert list(record.times["prefill_start"]) == pytest.approx([0.9, 0.8, 0.7])


class LatePlan(BasePolicy):
    """At 0.05 s plans to move all calls to the other instances; that applies at 0.15 s."""

    name = "late"
    epoch_s = 0.05

    def __init__(self) -> None:
        self.planned = False

    def place(self, view, ready):
        return [(call, Assignment(0, 2, float(call.number))) for call in ready]

    def plan(self, view):
        if self.planned:
            return None
        self.planned = True
        moves = [(call, Assignment(1, 3, float(call.number))) for call in view.live]
        return Plan(moves, latency_s=0.1)


def test_a_late_plan_leaves_alone_what_has_begun_meanwhile():
    """Prompts take 0.1 s: the first ends and the second begins before the plan applies, and only
    the third still waits then."""
    workflows = [chain(Call(100, 2), name=f"w{i}") for i in range(3)]
    on = cluster(prefills=2, decodes=2, instance_options={"max_batch": 1})
    record = Simulation(on, workflows, LatePlan(), OraclePredictor()).run()
    assert list(record.counts["prefill"]) == [0, 0, 1]
    assert list(record.counts["decode"]) == [2, 2, 3]
    assert record.stale_assignments == 2


class Ager(BasePolicy):
    """Serves the shortest prompt first, unless a call has waited for 0.4 s."""

    name = "ager"
    ranks_batches = True

    def __init__(self) -> None:
        self.asked: list[tuple[float, int]] = []

    def place(self, view, ready):
        return [(call, Assignment(0, 1, 0.0)) for call in ready]

    def rank(self, view, instance, queued):
        self.asked.append((view.now_s, len(queued)))
        return [
            -1.0 if view.now_s - call.revealed_s >= 0.4 else float(call.prompt_tokens)
            for call in queued
        ]


def test_queues_are_ranked_anew_before_each_batch():
    """A prompt of n tokens takes n ms; the long one waits until it has waited for too long."""
    ager = Ager()
    prompts = [100, 300, 150, 200, 50, 50]
    arrivals = [0.0, 0.01, 0.02, 0.03, 0.3, 0.47]
    workflows = [
        chain(Call(prompt, 1), name=f"w{n}", arrival=arrival)
        for n, (prompt, arrival) in enumerate(zip(prompts, arrivals, strict=True))
    ]
    on = cluster(instance_options={"max_batch": 1})
    record = Simulation(on, workflows, ager, OraclePredictor()).run()
    # At 0.25 s the 200 goes before the 300; at 0.45 s the 300 has waited, at 0.75 s the last two
    # are as old as they are short.
    assert list(record.times["prefill_start"]) == pytest.approx([0.0, 0.45, 0.1, 0.25, 0.75, 0.8])
    assert ager.asked == [
        (pytest.approx(time), queued)
        for time, queued in ((0.0, 1), (0.1, 3), (0.25, 2), (0.45, 2), (0.75, 2), (0.8, 1))
    ]


class Idler(BasePolicy):
    name = "idler"
    epoch_s = 0.1


def test_a_policy_that_places_nothing_is_given_up():
    with pytest.raises(SimulationError, match="policy 'idler' does not place it"):
        Simulation(cluster(), [chain(Call(10, 2))], Idler(), OraclePredictor()).run()


class Redirector(BasePolicy):
    """Sends calls to the first decode instance and thinks better of it."""

    name = "redirector"
    epoch_s = 0.05

    def place(self, view, ready):
        return [(call, Assignment(0, 1, 0.0)) for call in ready]

    def plan(self, view):
        return Plan([(call, Assignment(0, 2, 0.0)) for call in view.live])


def test_plans_redirect_calls_until_they_are_admitted():
    record = Simulation(
        cluster(decodes=2), [chain(Call(100, 30))], Redirector(), OraclePredictor()
    ).run()
    assert list(record.counts["decode"]) == [2]


def test_runs_can_be_cut_and_continued():
    workflows = [chain(Call(100, 40), name=f"w{i}", arrival=0.3 * i) for i in range(8)]
    whole = run(cluster(), workflows)
    simulation = Simulation(cluster(), workflows, make_policy("round-robin"), OraclePredictor())
    for until in (0.0, 0.7, 1.1):
        simulation.run(until_s=until)
        assert simulation.now <= until * 1e12
    parts = simulation.run()
    assert parts.finish == whole.finish


def test_use_of_links_at_both_ends():
    # 100 kB over 1 MB/s: a tenth of a second of the run, which ends with the tenth token.
    on = cluster()
    record = run(on, [chain(Call(100, 10))])
    assert [i.sent_bytes for i in record.instances] == [100_000, 0]
    assert [i.received_bytes for i in record.instances] == [0, 100_000]
    summary = summarise(record, on, None, np.random.default_rng(0))
    use = [row["link"] for row in summary["instances"]]
    assert use == pytest.approx([0.1 / record.end_s] * 2)
