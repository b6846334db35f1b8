"""GPUs, pools of equal nodes, and clusters."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from hexsolve.models.base import Record

Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+/-]*$")]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
# No unit in use makes a data-sheet figure or a price larger; beyond, a unit is wrong.
Figure = Annotated[float, Field(ge=1e-3, le=1e9)]
Price = Annotated[float, Field(ge=0, le=1e9)]

GIB = 2**30


class GPU(Record):
    """One GPU type. Fields are in data-sheet units; properties give bytes, bytes/s and FLOP/s."""

    name: Name
    memory_gib: Figure = Field(description="memory that the driver offers, GiB")
    memory_bandwidth_gb_s: Figure = Field(description="peak memory bandwidth, 1e9 bytes/s")
    bf16_tflops: Figure = Field(description="dense bf16 peak, 1e12 FLOP/s")
    fp8_tflops: Figure | None = Field(
        default=None, description="dense fp8 peak, 1e12 FLOP/s; null where the GPU has none"
    )
    nvlink_gb_s: NonNegative = Field(
        default=0.0,
        le=1e9,
        description="GPU-to-GPU fabric inside a node (NVLink, Infinity Fabric), one direction, "
        "1e9 bytes/s per GPU; 0 = PCIe only",
    )
    pcie_gb_s: Figure = Field(default=32.0, description="PCIe, one direction, 1e9 bytes/s")
    nic_gb_s: Figure = Field(
        default=50.0, description="network between nodes, one direction, 1e9 bytes/s per GPU"
    )
    price_per_hour: Price = Field(description="rent of one GPU, US$/h")
    tdp_watts: Figure | None = Field(default=None, description="board power, W")
    architecture: str = Field(
        default="", description="generation, such as hopper; decides whose efficiencies are used"
    )
    aliases: tuple[str, ...] = Field(default=(), description="other names in tables and traces")
    source: str = Field(default="user", description="where the figures come from")
    price_source: str = Field(default="user", description="where the price comes from")
    as_of: date | None = Field(default=None, description="date of figures and price")

    @property
    def memory_bytes(self) -> float:
        """Memory in bytes."""
        return self.memory_gib * GIB

    @property
    def memory_bandwidth(self) -> float:
        """Peak memory bandwidth in bytes/s."""
        return self.memory_bandwidth_gb_s * 1e9

    @property
    def fabric_bandwidth(self) -> float:
        """GPU-to-GPU bandwidth inside a node in bytes/s, one direction per GPU."""
        return (self.nvlink_gb_s or self.pcie_gb_s) * 1e9

    @property
    def nic_bandwidth(self) -> float:
        """Network bandwidth per GPU in bytes/s, one direction."""
        return self.nic_gb_s * 1e9

    def flops(self, dtype: str) -> float:
        """Return the dense peak in FLOP/s for `dtype`; without fp8 units fp8 runs as bf16."""
        if dtype in ("fp8", "fp4") and self.fp8_tflops is not None:
            return self.fp8_tflops * 1e12
        return self.bf16_tflops * 1e12


class NodePool(Record):
    """A number of equal nodes: `gpus_per_node` GPUs of one type in one NVLink domain each."""

    gpu: Name
    gpus_per_node: int = Field(default=8, ge=1, le=1024)
    nodes: int = Field(ge=0, le=10_000_000, description="nodes there are, or may be rented")
    price_per_hour: Price | None = Field(
        default=None, description="US$/h per GPU in this pool; null = the GPU's catalog price"
    )
    billing: Literal["gpu", "node"] = Field(
        default="gpu", description="whether GPUs or only whole nodes can be rented"
    )

    @property
    def gpus(self) -> int:
        """GPUs in the pool."""
        return self.nodes * self.gpus_per_node


class Cluster(Record):
    """An inventory: pools of nodes, each GPU type in at most one pool."""

    name: Name
    description: str = ""
    pools: tuple[NodePool, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_pool_per_type(self) -> "Cluster":
        names = [pool.gpu for pool in self.pools]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"GPU type {twice[0]!r} stands in more than one pool; merge them")
        return self

    @property
    def gpus(self) -> int:
        """GPUs in the cluster."""
        return sum(pool.gpus for pool in self.pools)
