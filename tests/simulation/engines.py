"""Hand-made engines and clusters with round figures."""

from hexsolve.models.latency import (
    DecodeCoefficients,
    EnginePerformance,
    MixedCoefficients,
    PrefillCoefficients,
)
from hexsolve.models.simulation.cluster import SimulatedCluster, SimulatedInstance


def engine(
    prefill: PrefillCoefficients | None = None,
    decode: DecodeCoefficients | None = None,
    capacity: int = 1_000_000,
    bytes_per_token: float = 1000.0,
) -> EnginePerformance:
    decode = decode or DecodeCoefficients(d0=0.01, d1=0.001, d2=1e-6)
    return EnginePerformance(
        llm="m",
        gpu="g",
        tp=1,
        prefill=prefill or PrefillCoefficients(p0=0.0, p1=0.001, p2=0.0),
        decode=decode,
        mixed=MixedCoefficients(m0=decode.d0, m1=0.001, m2=0.0, d1=decode.d1, d2=decode.d2),
        kv_capacity_tokens=capacity,
        kv_bytes_per_token=bytes_per_token,
        origin="measured",
    )


def instance(name: str, role: str, performance: EnginePerformance | None = None, **options):
    options = {"nic_bandwidth": 1e6, **options}
    return SimulatedInstance(name=name, role=role, performance=performance or engine(), **options)


def cluster(prefills: int = 1, decodes: int = 1, mixed: int = 0, **options) -> SimulatedCluster:
    """Equal instances; `options` go to the cluster, ``instance_options`` to each instance."""
    each = options.pop("instance_options", {})
    performance = options.pop("performance", None)
    instances = [instance(f"p{i}", "prefill", performance, **each) for i in range(prefills)]
    instances += [instance(f"d{i}", "decode", performance, **each) for i in range(decodes)]
    instances += [instance(f"m{i}", "mixed", performance, **each) for i in range(mixed)]
    return SimulatedCluster(instances=tuple(instances), **options)
