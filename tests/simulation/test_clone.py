"""Clones go on as the original would, and leave it alone."""

import pytest

from hexsolve.models.simulation.clone import believe, clone
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.workflow import Workflow
from hexsolve.solver.online.predictors import OraclePredictor
from tests.simulation.scenarios import Guess, Scripted, random_scenario


@pytest.mark.parametrize("seed", range(120))
def test_clones_at_any_time_end_alike(seed):
    cluster, workflows = random_scenario(seed)
    whole = Simulation(cluster, workflows, Scripted(seed), Guess(seed)).run()
    original = Simulation(cluster, workflows, Scripted(seed), Guess(seed))
    for share in (0.1, 0.4, 0.7):
        original.run(until_s=share * whole.end_s)
        twin = clone(original, Scripted(seed), Guess(seed)).run()
        assert twin.times == whole.times
        assert twin.counts == whole.counts
        assert twin.finish == whole.finish
        assert twin.instances == whole.instances
    assert original.run().times == whole.times


@pytest.mark.parametrize("seed", range(60))
def test_a_true_belief_comes_true(seed):
    """With everything revealed and true predictions, belief and truth agree."""
    cluster, workflows = random_scenario(seed)
    calls = [call for workflow in workflows for call in workflow.calls]
    flat = [
        Workflow(f"w{n}", 0.0, (type(call)(call.prompt_tokens, call.output_tokens),))
        for n, call in enumerate(calls)
        if call.output_tokens
    ]
    if not flat:
        return
    whole = Simulation(cluster, flat, Scripted(seed), OraclePredictor()).run()
    original = Simulation(cluster, flat, Scripted(seed), OraclePredictor())
    original.run(until_s=0.5 * whole.end_s)
    twin = clone(original, Scripted(seed), OraclePredictor())
    believe(twin)
    assert twin.run().finish == whole.finish


@pytest.mark.parametrize("seed", range(120))
def test_a_belief_holds_no_truth(seed):
    """Two worlds that differ only in what is not revealed give the same belief."""
    cluster, workflows = random_scenario(seed)
    guess = Guess(seed)
    simulation = Simulation(cluster, workflows, Scripted(seed), guess)
    simulation.run(until_s=15.0)
    twin = clone(simulation, Scripted(seed), guess)
    live = sorted(twin.live)
    believe(twin)
    hidden = [n for n in range(len(twin.outputs)) if n not in live]
    for number in hidden:
        twin.outputs[number] = 10**9
    record = twin.run()
    assert all(record.times["finished"][number] >= 0 for number in live)
    assert record.done == simulation.record.done + len(live)
