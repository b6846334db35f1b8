"""From a plan to the cluster that it describes."""

import math

from hexsolve.models.errors import InputError
from hexsolve.models.plan import InstanceGroup, MixedStep, Plan, SingleCalls
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.simulation.cluster import Failure, SimulatedCluster, SimulatedInstance
from hexsolve.models.standalone import instance_bandwidth


def deploy(
    problem: PlanningProblem, plan: Plan, failures: tuple[Failure, ...] = ()
) -> SimulatedCluster:
    """Return the instances of `plan`, named ``role-gpu-tpN-number``, in the order of its groups.

    They are run at their operating points and as the problem's assumptions say: `max_batch` and
    `transfer_latency_s` as they are; prefill one call at a time or in batches of up to
    `prefill_token_budget` tokens; in a mixed step `chunk_tokens` of prompts beside the planned
    decode batch (the simulated budget counts both), never less than the `max_batch` decoding
    sequences. Each instance has the network bandwidth of all its GPUs.

    Raises
    ------
    InputError
        If the plan uses an engine that the problem does not have, or more GPUs than there are.
    """
    engines = {(engine.gpu, engine.tp, engine.pp): engine for engine in problem.engines}
    given = problem.assumptions
    instances: list[SimulatedInstance] = []
    _fits(problem, plan)
    for group in plan.groups:
        engine = engines.get((group.gpu, group.tp, group.pp))
        if engine is None:
            raise InputError(
                f"uses {group.gpu} with tp {group.tp}, pp {group.pp}, which the instance does not "
                "offer; plan the same instance again",
                field=f"plan.groups.{group.id}",
            )
        budget, most = given.prefill_token_budget, given.max_batch
        if isinstance(group.operating_point, SingleCalls):
            most = 1
        if group.role == "mixed":
            batch = math.ceil(planned_batch(problem, group))
            budget = max(given.max_batch, given.chunk_tokens + batch)
        for _ in range(group.count):
            instances.append(
                SimulatedInstance(
                    name=f"{group.role}-{group.gpu}-tp{group.tp}-{len(instances)}",
                    role=group.role,
                    performance=engine,
                    nic_bandwidth=instance_bandwidth(problem, engine),
                    token_budget=budget,
                    max_batch=most,
                    price_per_hour=problem.price_per_hour(group.gpu) * engine.gpus,
                    watts=(problem.gpu(group.gpu).tdp_watts or 0.0) * engine.gpus,
                )
            )
    return SimulatedCluster(
        instances=tuple(instances),
        transfer_latency_s=given.transfer_latency_s,
        failures=failures,
    )


def _fits(problem: PlanningProblem, plan: Plan) -> None:
    for pool in problem.cluster.pools:
        used = sum(group.gpus for group in plan.groups if group.gpu == pool.gpu)
        if used > pool.gpus:
            raise InputError(
                f"uses {used:,} GPUs of type {pool.gpu}; allowed: at most {pool.gpus:,}, those "
                "of the instance",
                field="plan.groups",
            )


def planned_batch(problem: PlanningProblem, group: InstanceGroup) -> float:
    """Return the mean sequences that decode at once on an instance of a mixed `group`.

    Little's law: ``τ̄ · Σ flow · d / N`` with d = output − 1 decode steps per call.
    """
    point = group.operating_point
    assert isinstance(point, MixedStep)
    steps = {
        (workflow.name, call.name): max(call.output_tokens - 1.0, 0.0)
        for workflow in problem.workload.classes
        for call in workflow.calls
    }
    tokens = sum(flow.calls_per_s * steps[flow.workflow, flow.call] for flow in group.flows)
    return point.step_s * tokens / group.count
