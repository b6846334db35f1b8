"""A schedule in the simulator: a policy that follows its placements and its order."""

from collections.abc import Iterator, Sequence

from hexsolve.models import slo
from hexsolve.models.schedule import PERCENT, Replay, ScheduledCall, ScheduleObjective
from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.measures import flow_times
from hexsolve.models.simulation.policy import Assignment, BasePolicy
from hexsolve.models.simulation.record import RunRecord
from hexsolve.models.simulation.view import ClusterView
from hexsolve.models.workflow import Workflow
from hexsolve.solver.online.predictors import make_predictor


class FollowSchedule(BasePolicy):
    """Places calls as a schedule does; queues go by its starts. Workflows in arrival order."""

    name = "schedule"

    def __init__(self, cluster: SimulatedCluster, calls: Sequence[ScheduledCall]) -> None:
        self._rows = {(row.workflow, row.call): row for row in calls}
        self._numbers = {spec.name: number for number, spec in enumerate(cluster.instances)}
        self._any_decode = cluster.with_role("decode")[0]

    def place(
        self, view: ClusterView, ready: Sequence[RevealedCall]
    ) -> Iterator[tuple[RevealedCall, Assignment]]:
        """Assign each call as scheduled, or where it fits if its pool proved too small."""
        for call in ready:
            row = self._rows[call.workflow.number, call.index]
            p = self._numbers[row.prefill]
            # A call without decode steps is bound to a decode instance all the same.
            d = self._any_decode if row.decode is None else self._numbers[row.decode]
            if not view.can_take(call, p):
                p = next(i.number for i in view.prefills if view.can_take(call, i.number))
            if not view.can_take(call, d):
                d = next(i.number for i in view.decodes if view.can_take(call, i.number))
            sent = row.prefill_end if row.transfer_start is None else row.transfer_start
            yield call, Assignment(p, d, float(row.prefill_start), float(sent))


def replay(
    cluster: SimulatedCluster,
    workflows: Sequence[Workflow],
    horizons: Sequence[float],
    objective: ScheduleObjective,
    calls: Sequence[ScheduledCall],
    decode_batch: int,
) -> Replay:
    """Return what the simulator makes of a schedule; `workflows` in the order of arrival.

    Once on the cluster as it is, where instances batch whatever waits, and once with the limits
    that the schedule was made for.
    """
    record = _run(cluster, workflows, calls)
    values = slo.slowdowns(flow_times(record), horizons)
    specs = tuple(
        spec.model_copy(
            update={"max_batch": 1 if spec.role == "prefill" else min(spec.max_batch, decode_batch)}
        )
        for spec in cluster.instances
    )
    limited = _run(cluster.model_copy(update={"instances": specs}), workflows, calls)
    percent = PERCENT[objective]
    return Replay(
        objective=slo.required_scale(values, percent),
        limited=slo.required_scale(slo.slowdowns(flow_times(limited), horizons), percent),
        mean_slowdown=float(values.mean()),
        preemptions=sum(record.counts["preemptions"]),
    )


def _run(
    cluster: SimulatedCluster, workflows: Sequence[Workflow], calls: Sequence[ScheduledCall]
) -> RunRecord:
    policy = FollowSchedule(cluster, calls)
    return Simulation(cluster, workflows, policy, make_predictor("oracle", 0)).run()
