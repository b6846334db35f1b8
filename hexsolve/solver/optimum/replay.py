"""A schedule in the simulator: a policy that follows its placements and its order."""

from collections.abc import Iterator, Sequence

from hexsolve.models import slo
from hexsolve.models.schedule import (
    PERCENT,
    Replay,
    ScheduledCall,
    ScheduleObjective,
    ScheduleTimes,
)
from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.measures import flow_times
from hexsolve.models.simulation.policy import Assignment, BasePolicy, Plan
from hexsolve.models.simulation.record import RunRecord
from hexsolve.models.simulation.view import ClusterView
from hexsolve.models.workflow import Workflow
from hexsolve.solver.online.predictors import make_predictor

EPOCH_S = 0.005
"""How often calls that are held back are looked at, s; they start late by that much at most."""

NOTHING = Plan(())


class FollowSchedule(BasePolicy):
    """Places calls as a schedule does and not before it does; queues go by its starts.

    A schedule may let a call with slack wait for one to come, while an instance serves whatever
    waits: so the call is held back until its prefill is due, or, if its transfer waits in the
    schedule, until a prefill ends just when that is due. Workflows are in arrival order.
    """

    name = "schedule"
    epoch_s: float | None = EPOCH_S

    def __init__(
        self, cluster: SimulatedCluster, calls: Sequence[ScheduledCall], grid_s: float
    ) -> None:
        self._rows = {(row.workflow, row.call): row for row in calls}
        self._numbers = {spec.name: number for number, spec in enumerate(cluster.instances)}
        self._any_decode = cluster.with_role("decode")[0]
        self._due_s = {
            key: (row.prefill_start + _sent(row) - row.prefill_end) * grid_s
            for key, row in self._rows.items()
        }
        self._next_due_s = float("inf")
        """No call that is held back is due before."""

    def place(
        self, view: ClusterView, ready: Sequence[RevealedCall]
    ) -> Iterator[tuple[RevealedCall, Assignment]]:
        """Assign each call that is due as scheduled, or where it fits if its pool is too small."""
        idle = len(view.live) == len(ready)
        dues = [self._due_s[call.workflow.number, call.index] for call in ready]
        first = min(dues, default=0.0)
        for call, due in zip(ready, dues, strict=True):
            # With nothing under way there is nothing to wait for.
            if due > view.now_s + 1e-9 and not (idle and due <= first):
                self._next_due_s = min(self._next_due_s, due)
                continue
            row = self._rows[call.workflow.number, call.index]
            p = self._numbers[row.prefill]
            # A call without decode steps is bound to a decode instance all the same.
            d = self._any_decode if row.decode is None else self._numbers[row.decode]
            if not view.can_take(call, p):
                p = next(i.number for i in view.prefills if view.can_take(call, i.number))
            if not view.can_take(call, d):
                d = next(i.number for i in view.decodes if view.can_take(call, i.number))
            yield call, Assignment(p, d, float(row.prefill_start), float(_sent(row)))

    def plan(self, view: ClusterView) -> Plan:
        """Assign the calls that have become due."""
        waiting = len(view.waiting)
        early = self._next_due_s > view.now_s + 1e-9
        if not waiting or (early and len(view.live) > waiting):
            return NOTHING
        self._next_due_s = float("inf")
        return Plan(tuple(self.place(view, view.waiting)))


def _sent(row: ScheduledCall) -> int:
    return row.prefill_end if row.transfer_start is None else row.transfer_start


def replay(
    cluster: SimulatedCluster,
    workflows: Sequence[Workflow],
    horizons: Sequence[float],
    objective: ScheduleObjective,
    calls: Sequence[ScheduledCall],
    times: ScheduleTimes,
) -> Replay:
    """Return what the simulator makes of a schedule; `workflows` in the order of arrival.

    Once on the cluster as it is, where instances batch whatever waits, and once with the limits
    that the schedule was made for.
    """
    record = _run(cluster, workflows, calls, times.grid_s)
    values = slo.slowdowns(flow_times(record), horizons)
    specs = tuple(
        spec.model_copy(
            update={
                "max_batch": 1
                if spec.role == "prefill"
                else min(spec.max_batch, times.decode_batch)
            }
        )
        for spec in cluster.instances
    )
    limited = _run(cluster.model_copy(update={"instances": specs}), workflows, calls, times.grid_s)
    percent = PERCENT[objective]
    return Replay(
        objective=slo.required_scale(values, percent),
        limited=slo.required_scale(slo.slowdowns(flow_times(limited), horizons), percent),
        mean_slowdown=float(values.mean()),
        preemptions=sum(record.counts["preemptions"]),
    )


def _run(
    cluster: SimulatedCluster,
    workflows: Sequence[Workflow],
    calls: Sequence[ScheduledCall],
    grid_s: float,
) -> RunRecord:
    policy = FollowSchedule(cluster, calls, grid_s)
    return Simulation(cluster, workflows, policy, make_predictor("oracle", 0)).run()
