"""The engine against the step-by-step reference: equal to the last picosecond."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.models.simulation.calls import RevealedCall, RevealedWorkflow
from hexsolve.models.simulation.clock import SECOND
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.record import RunRecord
from tests.simulation.reference import Reference
from tests.simulation.scenarios import Guess, Scripted, choose, random_scenario, rank, ranks


def run_both(seed: int, scale: int = 1) -> tuple[Reference, RunRecord]:
    cluster, workflows = random_scenario(seed, scale)
    reference = Reference(
        cluster,
        workflows,
        lambda *call: choose(seed, *call),
        Guess(seed).predict,
        (lambda *queue: rank(seed, *queue)) if ranks(seed) else None,
    )
    reference.run()
    record = Simulation(cluster, workflows, Scripted(seed), Guess(seed)).run()
    return reference, record


def assert_equal(reference: Reference, record: RunRecord) -> None:
    calls = range(len(reference.calls))
    assert list(record.times["finished"]) == [reference.finish[c] / SECOND for c in calls]
    first_tokens = [reference.first_token.get(c, -SECOND) / SECOND for c in calls]
    assert list(record.times["first_token"]) == first_tokens
    assert list(record.counts["preemptions"]) == [c.preemptions for c in reference.calls]


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
def test_engine_equals_reference(seed):
    assert_equal(*run_both(seed))


@pytest.mark.parametrize("seed", range(25))
def test_engine_equals_reference_over_long_jumps(seed):
    assert_equal(*run_both(seed, scale=12))


class SharedLinks:
    """Notes whether two transfers ever used one end of a link at the same time."""

    simulation: Simulation
    seen = False

    def call(self, event: str, now: int, call: RevealedCall, instance: int) -> None:
        links = self.simulation.links
        # Those that begin at an instant share from then on.
        self.seen |= any(len(flows) > 1 for flows in (*links.leaving, *links.entering))

    def workflow(self, event: str, now: int, workflow: RevealedWorkflow) -> None:
        pass


def test_scenarios_cover_what_is_hard():
    preempted = evicted = zero = failed = contended = simultaneous = 0
    for seed in range(60):
        cluster, workflows = random_scenario(seed)
        links = SharedLinks()
        links.simulation = Simulation(
            cluster, workflows, Scripted(seed), Guess(seed), listener=links
        )
        record = links.simulation.run()
        contended += links.seen
        preempted += sum(record.counts["preemptions"]) > 0
        evicted += any(instance.evicted_tokens for instance in record.instances)
        zero += any(call.output_tokens == 0 for w in workflows for call in w.calls)
        failed += bool(cluster.failures)
        finished = list(record.times["finished"])
        simultaneous += len(set(finished)) < len(finished)
    assert min(preempted, evicted, zero, failed, contended, simultaneous) >= 10
