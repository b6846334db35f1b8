"""A run that is looked at: what the view says at a time of one's choice."""

from collections.abc import Callable, Sequence

from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.policy import Assignment, BasePolicy
from hexsolve.models.simulation.record import RunRecord
from hexsolve.models.simulation.view import ClusterView
from hexsolve.models.workflow import Call, Workflow
from hexsolve.solver.online.predictors import OraclePredictor

Decide = Callable[[ClusterView, RevealedCall], tuple[int, int]]


class Probe(BasePolicy):
    """Places calls as told and lets the test look before each placement and at completions."""

    name = "probe"

    def __init__(
        self,
        decide: Decide,
        look: Callable[[ClusterView, RevealedCall], None] | None = None,
        done: Callable[[ClusterView, RevealedCall], None] | None = None,
    ) -> None:
        self._decide = decide
        self._look = look
        self._done = done

    def place(self, view: ClusterView, ready: Sequence[RevealedCall]):
        for call in ready:
            if self._look is not None:
                self._look(view, call)
            p, d = self._decide(view, call)
            yield call, Assignment(p, d, float(call.number))

    def completed(self, view: ClusterView, call: RevealedCall) -> None:
        if self._done is not None:
            self._done(view, call)


def first_pair(view: ClusterView, call: RevealedCall) -> tuple[int, int]:
    return view.prefills[0].number, view.decodes[0].number


def simulate(on: SimulatedCluster, workflows: Sequence[Workflow], policy) -> RunRecord:
    return Simulation(on, workflows, policy, OraclePredictor()).run()


def workflow(*calls: Call, arrival: float = 0.0, name: str = "w", kind: str = "") -> Workflow:
    return Workflow(name, arrival, calls, kind) if kind else Workflow(name, arrival, calls)
