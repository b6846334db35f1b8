"""Pack the stages of instances into nodes, by counts."""

from collections.abc import Iterable, Mapping

from hexsolve.models.check.view import GroupView
from hexsolve.models.hardware import NodePool


def stages(groups: Iterable[GroupView], gpu: str) -> dict[int, int]:
    """Return how many stages of each size (GPUs) the groups on a GPU type have."""
    sizes: dict[int, int] = {}
    for view in groups:
        group = view.group
        if group.gpu == gpu:
            sizes[group.tp] = sizes.get(group.tp, 0) + group.count * group.pp
    return sizes


def nodes_needed(sizes: Mapping[int, int], gpus_per_node: int) -> int | None:
    """Return the nodes that hold the stages; null when a stage is larger than a node.

    Parameters
    ----------
    sizes : mapping of int to int
        Stages of each size in GPUs.
    gpus_per_node : int
        GPUs of one node; it need not be a power of two.

    Notes
    -----
    First fit, largest first, which is optimal when every size divides the next larger one
    (Coffman, Garey, Johnson 1987, doi:10.1016/0885-064X(87)90009-4), as powers of two do. Nodes
    with equally many free GPUs are one count, so 100,000 GPUs take no longer than eight.
    """
    nodes = 0
    free: dict[int, int] = {}
    for size in sorted(sizes, reverse=True):
        left = sizes[size]
        if left and size > gpus_per_node:
            return None
        for room in sorted(free):
            left -= _fill(free, room, free[room], size, left)
        if left > 0:
            opened = -(-left // (gpus_per_node // size))
            nodes += opened
            free[gpus_per_node] = free.get(gpus_per_node, 0) + opened
            _fill(free, gpus_per_node, opened, size, left)
    return nodes


def nodes_used(groups: Iterable[GroupView], pool: NodePool) -> int | None:
    """Return the nodes of a pool that the groups need, or null (see `nodes_needed`)."""
    return nodes_needed(stages(groups, pool.gpu), pool.gpus_per_node)


def _fill(free: dict[int, int], room: int, nodes: int, size: int, left: int) -> int:
    """Put up to `left` stages of `size` into `nodes` nodes with `room` free GPUs each.

    Changes `free` (free GPUs -> nodes) and returns how many stages were put.
    """
    each = room // size
    full = min(nodes, left // each) if each else 0
    rest = min(left - full * each, each) if full < nodes else 0
    for changed, put in ((full, each), (1 if rest else 0, rest)):
        if changed:
            free[room] -= changed
            free[room - put * size] = free.get(room - put * size, 0) + changed
    return full * each + rest
