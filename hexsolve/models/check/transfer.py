"""KV transfers from prefill to decode instances."""

from hexsolve.models.check.view import PlanView, Serving
from hexsolve.models.latency import EnginePerformance
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.workload import CallClass


def kv_bytes(problem: PlanningProblem, call: CallClass) -> float:
    """Return y, the bytes that one call sends from prefill to decode."""
    return (call.new_tokens + call.cached_tokens) * problem.llm.kv_bytes_per_token


def bandwidth(problem: PlanningProblem, engine: EnginePerformance) -> float:
    """Return b, the network bandwidth of an instance in bytes/s: that of all its GPUs."""
    return problem.gpu(engine.gpu).nic_gb_s * 1e9 * engine.tp * engine.pp


def busy_transfer_seconds(problem: PlanningProblem, call: CallClass, link: float) -> float:
    """Return the time of a transfer over a link that is used to the share allowed, s."""
    assumptions = problem.assumptions
    free = 1.0 - assumptions.link_utilisation_max
    return assumptions.transfer_latency_s + kv_bytes(problem, call) / (link * free)


def transfer_seconds_per_s(view: PlanView, workflow: str, call: CallClass) -> float:
    """Return Σ (transfers per second · time of each) over a call class, best pairing.

    Senders and receivers are paired off from the fastest link down. Whatever is left of the side
    that has more breaks `demand` and is not paired.
    """
    senders = _by_link(view, view.servings(workflow, call.name, "prefill"))
    receivers = _by_link(view, view.servings(workflow, call.name, "decode"))
    total = 0.0
    while senders and receivers:
        sender_link, sends = senders[-1]
        receiver_link, receives = receivers[-1]
        paired = min(sends, receives)
        link = min(sender_link, receiver_link)
        total += paired * busy_transfer_seconds(view.problem, call, link)
        for side, link, rest in (
            (senders, sender_link, sends - paired),
            (receivers, receiver_link, receives - paired),
        ):
            side.pop()
            if rest > 0.0:
                side.append((link, rest))
    return total


def _by_link(view: PlanView, servings: list[Serving]) -> list[tuple[float, float]]:
    """Return (link bandwidth, calls per second), slowest link first."""
    return sorted((bandwidth(view.problem, s.engine), s.calls_per_s) for s in servings)
