"""Small random instances for the clairvoyant optimum, and schedules from its list scheduler."""

import random
from collections.abc import Sequence

import numpy as np

from hexsolve.models.schedule import (
    Schedule,
    ScheduleObjective,
    ScheduleTimes,
    scheduling_hash,
)
from hexsolve.models.simulation.cluster import SimulatedCluster
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.models.status import Limit, Status, derive_status, relative_gap
from hexsolve.models.workflow import Workflow
from hexsolve.solver.optimum.bounds.times import Ints
from hexsolve.solver.optimum.clock import Clock, SearchOptions
from hexsolve.solver.optimum.lists import ListScheduler
from hexsolve.solver.optimum.problem import SchedulingProblem, build_problem
from hexsolve.solver.optimum.search import Found, Search
from hexsolve.solver.optimum.start import Incumbent, first_schedules
from hexsolve.solver.optimum.timetable import Timetable, scheduled_calls, value
from hexsolve.solver.optimum.windows import Windows
from tests.simulation.scenarios import largest_call, random_cluster, random_workflow


def random_instance(
    seed: int, workflows: int = 4, calls: int = 10**9, instances: int = 10**9
) -> tuple[SimulatedCluster, list[Workflow]]:
    """A scenario without mixed instances and failures, with at most so many calls."""
    rng = random.Random(seed)
    while True:
        drawn = [random_workflow(rng, n) for n in range(rng.randint(1, workflows))]
        if sum(len(workflow.calls) for workflow in drawn) > calls:
            continue
        cluster = random_cluster(rng, largest_call(drawn))
        roles = {spec.role for spec in cluster.instances}
        if "mixed" not in roles and len(cluster.instances) <= instances:
            break
    drawn.sort(key=lambda workflow: workflow.arrival_s)
    return cluster.model_copy(update={"failures": ()}), drawn


def problem_of(
    cluster: SimulatedCluster,
    workflows: Sequence[Workflow],
    objective: ScheduleObjective = "req100",
    **times: object,
) -> SchedulingProblem:
    chosen = ScheduleTimes.model_validate({"grid_s": 0.125, "decode_batch": 2, **times})
    horizons = standalone_horizons(cluster, workflows)
    return build_problem(cluster, workflows, horizons, chosen, objective)


def list_schedule(problem: SchedulingProblem, seed: int = 0) -> Timetable:
    rng = random.Random(seed)
    return ListScheduler(problem).schedule([rng.random() for _ in problem.calls])


def listed_incumbent(calls: int = 10**9) -> Incumbent:
    """The schedule of a random list, of at most so many calls, to be improved."""
    incumbent = Incumbent(Windows(problem_of(*random_instance(7, workflows=8, calls=calls))))
    incumbent.offer(list_schedule(incumbent.problem), "random")
    return incumbent


def random_bindings(problem: SchedulingProblem, rng: np.random.Generator) -> Ints:
    """Prefill and decode instances, or none, drawn for every call."""
    most = [len(problem.prefill_rows), len(problem.decode_rows)]
    return rng.integers(-1, most, (len(problem.calls), 2))


def search(problem: SchedulingProblem, options: SearchOptions) -> Found:
    """Search from the first schedules of all rules."""
    first = Incumbent(Windows(problem))
    first_schedules(first)
    return Search(first, Clock(options)).run()


def as_schedule(
    problem: SchedulingProblem, workflows: Sequence[Workflow], timetable: Timetable
) -> Schedule:
    reached = value(problem, timetable)
    bound = Windows(problem).critical_path_bound()
    status = derive_status(reached, bound)
    return Schedule(
        hexsolve_version="test",
        instance_name="test",
        instance_hash=scheduling_hash(problem.cluster, workflows),
        times=problem.times,
        status=status,
        limit=Limit.NONE if status is Status.OPTIMAL else Limit.TIME,
        objective_kind=problem.objective,
        objective=reached,
        bound=bound,
        gap=relative_gap(reached, bound),
        runtime_s=0.0,
        solver="list",
        calls=scheduled_calls(problem, timetable),
    )
