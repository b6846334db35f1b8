"""From a plan to the cluster that it describes."""

from hexsolve.models.errors import InputError
from hexsolve.models.plan import Plan
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.simulation.cluster import Failure, SimulatedCluster, SimulatedInstance

# vLLM's defaults on these GPUs.
PREFILL_TOKENS = 8192
MIXED_TOKENS = 2048
MAX_BATCH = 256


def deploy(
    problem: PlanningProblem,
    plan: Plan,
    transfer_latency_s: float = 0.0,
    failures: tuple[Failure, ...] = (),
) -> SimulatedCluster:
    """Return the instances of `plan`, named ``role-gpu-tpN-number``, in the order of its groups.

    Each instance has the network bandwidth of all its GPUs. A call's full prompt is planned to
    wait for one prefill at a time; the simulated engines batch prompts up to 8,192 tokens.

    Raises
    ------
    InputError
        If the plan uses an engine that the problem does not have.
    """
    engines = {(engine.gpu, engine.tp, engine.pp): engine for engine in problem.engines}
    instances: list[SimulatedInstance] = []
    for group in plan.groups:
        engine = engines.get((group.gpu, group.tp, group.pp))
        if engine is None:
            raise InputError(
                f"uses {group.gpu} with tp {group.tp}, pp {group.pp}, which the instance does not "
                "offer; plan the same instance again",
                field=f"plan.groups.{group.id}",
            )
        gpu = problem.gpu(group.gpu)
        for _ in range(group.count):
            instances.append(
                SimulatedInstance(
                    name=f"{group.role}-{group.gpu}-tp{group.tp}-{len(instances)}",
                    role=group.role,
                    performance=engine,
                    nic_bandwidth=gpu.nic_bandwidth * engine.gpus,
                    token_budget=MIXED_TOKENS if group.role == "mixed" else PREFILL_TOKENS,
                    max_batch=MAX_BATCH,
                    price_per_hour=problem.price_per_hour(group.gpu) * engine.gpus,
                    watts=(gpu.tdp_watts or 0.0) * engine.gpus,
                )
            )
    return SimulatedCluster(
        instances=tuple(instances), transfer_latency_s=transfer_latency_s, failures=failures
    )
