"""The stored benchmark: scheduling instances as files, the same for everyone."""

from hexsolve.instances.benchmark.io import (
    benchmark_names,
    load_scheduling_instance,
    scheduling_instance_text,
)

__all__ = ["benchmark_names", "load_scheduling_instance", "scheduling_instance_text"]
