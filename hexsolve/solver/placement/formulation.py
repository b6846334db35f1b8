"""The MILP, written by columns: what a count or a flow does in every constraint family.

Names as in docs/planning-model.md. A column-wise definition serves twice: to build the model
from any subset of the candidates, and to price the candidates that were left out.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pulp

from hexsolve.models.hardware import NodePool
from hexsolve.models.plan import Objective
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.standalone import horizon_seconds
from hexsolve.solver.placement.candidates import Candidate, binding_rules, most_load
from hexsolve.solver.placement.traffic import Traffic, Vector

PHASES: dict[str, tuple[str, ...]] = {
    "prefill": ("prefill",),
    "decode": ("decode",),
    "mixed": ("prefill", "decode"),
}
Column = list[tuple[str, float]]
# Shares of an instance below this may drown in a solver's tolerances.
NEGLIGIBLE = 1e-2


@dataclass(frozen=True)
class Variation:
    """How a model deviates from its problem, for diagnosis and sensitivity.

    Attributes
    ----------
    ignore : frozenset of str
        Constraint groups left out: ``inventory``, ``budget``, ``path``, ``ttft``, ``tpot``,
        ``kv``, ``link``.
    extra_nodes : dict of str to tuple
        GPU type → (nodes, GPUs in each) added to the inventory.
    buy : frozenset of str
        GPU types of which further nodes may be bought; the objective becomes the GPUs bought.
    counts : dict of int to int
        Instances per candidate, where they are given.
    """

    ignore: frozenset[str] = frozenset()
    extra_nodes: dict[str, tuple[int, int]] = field(default_factory=dict)
    buy: frozenset[str] = frozenset()
    counts: dict[int, int] = field(default_factory=dict)


@dataclass
class Row:
    """One constraint ``Σ coefficient · variable  sense  rhs``, given to the solver over `unit`."""

    sense: int
    rhs: float
    terms: list[tuple[pulp.LpVariable, float]] = field(default_factory=list)
    unit: float = 1.0


class Formulation:
    """Variables and constraints of one planning problem over a subset of its candidates.

    A solver's tolerances are absolute, so everything is measured in what it is compared with.
    Loads and flows are in units of `unit`: ``flow[c, g]`` is the load of class c served by
    candidate g, all flows of a class sum to ``θ / unit``, and that is near 1 whatever the rates
    and the cluster. Rows of seconds are divided by the workflow's horizon, the budget's row by
    the budget.

    Parameters
    ----------
    problem, traffic, candidates
        The problem, its flattened workload, and all candidates.
    objective : {"load", "cost", "slo"}
    variation : Variation, optional
    active : iterable of int, optional
        Candidates that get variables; default all.
    load_bound : float, optional
        A load that no plan exceeds, where the load is a variable; it tightens the LP.
    cuts : frozenset of str, optional
        Names of the valid inequalities ``built_…`` to write; default all.

    Attributes
    ----------
    model : pulp.LpProblem
        Backends multiply its objective by its attribute ``hexsolve_unit``.
    unit : float
        What the variables `load` and `flow` are multiples of.
    count : dict of int to pulp.LpVariable
        Candidate → instances, integer.
    flow : dict of (int, int) to pulp.LpVariable
        (class, candidate) → load served.
    """

    def __init__(
        self,
        problem: PlanningProblem,
        traffic: Traffic,
        candidates: list[Candidate],
        objective: Objective,
        variation: Variation | None = None,
        active: Iterable[int] | None = None,
        load_bound: float | None = None,
        cuts: frozenset[str] | None = None,
    ):
        self.problem = problem
        self.traffic = traffic
        self.candidates = candidates
        self.objective = objective
        self.variation = variation or Variation()
        self.active = sorted(range(len(candidates)) if active is None else active)
        self.horizon = [horizon_seconds(problem, flow) for flow in problem.workload.classes]
        self._pools: dict[str, NodePool] = {pool.gpu: pool for pool in problem.cluster.pools}
        self._labels = _labels(self._pools)
        self._sizes = self._stage_sizes()
        most = most_load(problem, traffic, candidates)
        self.unit = _unit(most) if objective == "load" else problem.load
        # with other constraints the bound may not hold, but it is a good unit all the same
        self._most = most / self.unit if self.variation == Variation() else math.inf
        self.rate = traffic.rate * self.unit
        self._levels = self._bandwidth_levels() if self.has_path else {}
        self.rows: dict[str, Row] = {}
        maximise = objective == "load" and not self.variation.buy
        sense = pulp.LpMaximize if maximise else pulp.LpMinimize
        self.model = pulp.LpProblem("hexsolve_plan", sense)
        self.model.hexsolve_unit = self.unit if maximise else 1.0
        self._shared_variables()
        self.load_bound = load_bound
        self._cuts = cuts
        self._shared_rows()
        self._columns()
        self._assemble()

    @property
    def has_path(self) -> bool:
        """Whether workflow latencies are limited (or minimised)."""
        if self.objective == "slo":
            return True
        return self.problem.slo_scale is not None and "path" not in self.variation.ignore

    @property
    def load_most(self) -> float:
        """The load, or if that is a variable what no plan exceeds; infinite if nothing is known."""
        if not isinstance(self.load, pulp.LpVariable):
            return self.load
        return self._most if self.load_bound is None else self.load_bound / self.unit

    # -- what a candidate's columns do in each family -------------------------------------

    def demand(self, row: int, column: int) -> Column:
        """Every call is prefilled once and decoded once: the flows of each phase sum to θ."""
        return [(f"demand_{p}_c{row}", 1.0) for p in PHASES[self.candidates[column].role]]

    def path(self, row: int, column: int) -> Column:
        """Mean latencies along every path add up to at most α · H, via earliest end times.

        ``end[node] ≥ end[parent] + repeat · (tool_seconds · θ + Σ flow · latency)``; times are
        multiplied by θ, which keeps them linear when the load is a variable too.
        """
        if not self.has_path:
            return []
        candidate = self.candidates[column]
        seconds = float(candidate.latency[row])
        if candidate.role == "prefill":
            seconds += self.problem.assumptions.transfer_latency_s
            seconds += self._transfer_seconds(row)[-1]
        return [(name, self.traffic.calls[row][1].repeat * seconds) for name in self._starts[row]]

    def pairing(self, row: int, column: int) -> Column:
        """Flow over links up to each bandwidth, per side, for the transfer time.

        With bandwidths ``b_1 < … < b_m`` a transfer takes
        ``y/b_m + Σ_{j<m} y · (1/b_j − 1/b_{j+1}) · [min(b_p, b_d) ≤ b_j]``. Sending from fast
        links to fast links makes the share with ``min ≤ b_j`` the larger of both sides' shares.
        """
        candidate = self.candidates[column]
        if candidate.role == "mixed" or row not in self._levels:
            return []
        place = self._levels[row].index(candidate.bandwidth)
        if place == len(self._levels[row]) - 1:
            return []
        return [(f"upto_{candidate.role}_c{row}_l{place}", 1.0)]

    def inventory(self, column: int) -> Column:
        """Stages of tp GPUs fit into nodes: for every size q, stages of at least q as q-blocks.

        tp is a power of two, so stages pack without waste and the count of q-blocks decides.
        """
        if "inventory" in self.variation.ignore:
            return []
        engine = self.candidates[column].engine
        return [
            (f"inventory_{self._labels[engine.gpu]}_tp{size}", float(engine.pp * engine.tp // size))
            for size in self._sizes[engine.gpu]
            if engine.tp >= size
        ]

    def cost(self, column: int) -> float:
        """US$/h of one instance; 0 where whole nodes are rented instead."""
        candidate = self.candidates[column]
        if self._pools[candidate.engine.gpu].billing == "node":
            return 0.0
        return self.problem.price_per_hour(candidate.engine.gpu) * candidate.gpus

    def rules(self, column: int) -> dict[str, Vector]:
        """``Σ usage · rate · flow ≤ count``: the candidate's own rules, implied ones left out."""
        candidate = self.candidates[column]
        ignored = self.variation.ignore
        usage = {
            rule: values
            for rule, values in candidate.usage.items()
            if not ("link" in ignored and rule == "link")
            and not ("kv" in ignored and rule.endswith("_kv"))
        }
        if not isinstance(self.load, pulp.LpVariable):
            for row in self._bursts(column):
                most = candidate.burst_share * self.load * self.rate[row]
                usage[f"siblings_c{row}"] = np.where(
                    np.arange(len(self.traffic)) == row, 1 / most, 0.0
                )
        return binding_rules(usage, candidate.serves)

    def _bursts(self, column: int) -> list[int]:
        """Return the classes with siblings of which one instance may not serve all calls."""
        candidate = self.candidates[column]
        if candidate.burst_share >= 1.0:
            return []
        bursts = candidate.serves & (self.traffic.others > 0.0)
        return [int(row) for row in np.flatnonzero(bursts)]

    # -- building ------------------------------------------------------------------------

    def _stage_sizes(self) -> dict[str, list[int]]:
        sizes: dict[str, set[int]] = defaultdict(set)
        for candidate in self.candidates:
            sizes[candidate.engine.gpu].add(candidate.engine.tp)
        return {gpu: sorted(found) for gpu, found in sizes.items()}

    def _bandwidth_levels(self) -> dict[int, list[float]]:
        levels: dict[int, list[float]] = {}
        for row in range(len(self.traffic)):
            found = {
                candidate.bandwidth
                for candidate in self.candidates
                if candidate.role != "mixed" and candidate.serves[row]
            }
            if found:
                levels[row] = sorted(found)
        return levels

    def _transfer_seconds(self, row: int) -> list[float]:
        free = 1.0 - self.problem.assumptions.link_utilisation_max
        size = float(self.traffic.transfer_bytes[row])
        return [size / (level * free) for level in self._levels[row]]

    def _shared_variables(self) -> None:
        self.load: pulp.LpVariable | float = (
            self._variable("load") if self.objective == "load" else self.problem.load / self.unit
        )
        self.scale: pulp.LpVariable | float | None = (
            self._variable("scale") if self.objective == "slo" else self.problem.slo_scale
        )
        # Nodes are counted only where they are rented or bought whole.
        self.nodes: dict[str, pulp.LpVariable] = {}
        for pool in self.problem.cluster.pools:
            if pool.billing == "node":
                extra, size = self.variation.extra_nodes.get(pool.gpu, (0, 0))
                most = pool.nodes + (extra if size == pool.gpus_per_node else 0)
                unlimited = pool.gpu in self.variation.buy
                self.nodes[pool.gpu] = self._variable(
                    f"nodes_{self._labels[pool.gpu]}", pulp.LpInteger, None if unlimited else most
                )
        self.bought = {
            gpu: self._variable(f"bought_{self._labels[gpu]}", pulp.LpInteger)
            for gpu in sorted(self.variation.buy)
        }

    def _variable(
        self, name: str, category: str = pulp.LpContinuous, most: float | None = None
    ) -> pulp.LpVariable:
        return self.model.add_variable(name, 0, most, category)

    def _row(self, name: str, sense: int, rhs: float, *terms: tuple[pulp.LpVariable, float]) -> Row:
        self.rows[name] = Row(sense, rhs, list(terms))
        return self.rows[name]

    def _shared_rows(self) -> None:
        for row in range(len(self.traffic)):
            for phase in ("prefill", "decode"):
                made = self._row(f"demand_{phase}_c{row}", pulp.LpConstraintEQ, 0.0)
                self._times_load(made, -1.0)
        self._inventory_rows()
        if self.has_path:
            self._path_rows()
        if self.problem.budget_per_hour is not None and "budget" not in self.variation.ignore:
            budget = self._row("budget", pulp.LpConstraintLE, self.problem.budget_per_hour)
            budget.unit = self.problem.budget_per_hour
            budget.terms.extend(self._node_costs())

    def _times_load(self, row: Row, factor: float) -> None:
        """Add ``factor · θ`` to a row, whether θ is a variable or a number."""
        if isinstance(self.load, pulp.LpVariable):
            row.terms.append((self.load, factor))
        else:
            row.rhs -= factor * self.load

    def _node_costs(self) -> list[tuple[pulp.LpVariable, float]]:
        return [
            (variable, self.problem.price_per_hour(gpu) * self._pools[gpu].gpus_per_node)
            for gpu, variable in self.nodes.items()
        ]

    def _inventory_rows(self) -> None:
        if "inventory" in self.variation.ignore:
            return
        for gpu, sizes in self._sizes.items():
            pool, label = self._pools[gpu], self._labels[gpu]
            extra, extra_size = self.variation.extra_nodes.get(gpu, (0, 1))
            for size in sizes:
                blocks = pool.gpus_per_node // size
                row = self._row(f"inventory_{label}_tp{size}", pulp.LpConstraintLE, 0.0)
                if gpu in self.nodes:
                    row.terms.append((self.nodes[gpu], -float(blocks)))
                else:
                    row.rhs = float(pool.nodes * blocks + extra * (extra_size // size))
                if gpu in self.bought and gpu not in self.nodes:
                    row.terms.append((self.bought[gpu], -float(blocks)))
            if gpu in self.bought and gpu in self.nodes:
                self._row(
                    f"bought_nodes_{label}",
                    pulp.LpConstraintLE,
                    float(pool.nodes),
                    (self.nodes[gpu], 1.0),
                    (self.bought[gpu], -1.0),
                )

    def _path_rows(self) -> None:
        self._starts: dict[int, list[str]] = {}
        first = 0
        for index, workflow in enumerate(self.problem.workload.classes):
            rows = {call.name: first + offset for offset, call in enumerate(workflow.calls)}
            first += len(workflow.calls)
            ends = {name: self._variable(f"end_c{row}") for name, row in rows.items()}
            for call in workflow.calls:
                row = rows[call.name]
                parents = [f"path_c{row}_after_c{rows[parent]}" for parent in call.after]
                self._starts[row] = parents or [f"path_c{row}_from_start"]
                for name, parent in zip(self._starts[row], call.after or ("",), strict=True):
                    made = self._row(name, pulp.LpConstraintLE, 0.0, (ends[call.name], -1.0))
                    made.unit = self.horizon[index]
                    self._times_load(made, call.repeat * call.tool_seconds)
                    if parent:
                        made.terms.append((ends[parent], 1.0))
                self._pairing_rows(row, call.repeat)
                deadline = self._row(f"path_deadline_c{row}", pulp.LpConstraintLE, 0.0)
                deadline.terms.append((ends[call.name], 1.0))
                deadline.unit = self.horizon[index]
                self._times_scale(deadline, -self.horizon[index])

    def _times_scale(self, row: Row, factor: float) -> None:
        """Add ``factor · α · θ`` to a row; at most one of the two is a variable."""
        if isinstance(self.scale, pulp.LpVariable):
            row.terms.append((self.scale, factor * self.problem.load / self.unit))
        elif self.scale is not None:
            self._times_load(row, factor * self.scale)

    def _pairing_rows(self, row: int, repeat: float) -> None:
        levels = self._levels.get(row, [])
        seconds = self._transfer_seconds(row) if levels else []
        before: dict[str, pulp.LpVariable] = {}
        for place in range(len(levels) - 1):
            slow = self._variable(f"slow_c{row}_l{place}")
            for phase in ("prefill", "decode"):
                upto = self._variable(f"upto_{phase}_c{row}_l{place}")
                total = self._row(f"upto_{phase}_c{row}_l{place}", pulp.LpConstraintEQ, 0.0)
                total.terms.append((upto, -1.0))
                if phase in before:
                    total.terms.append((before[phase], 1.0))
                before[phase] = upto
                name = f"pairing_{phase}_c{row}_l{place}"
                self._row(name, pulp.LpConstraintLE, 0.0, (upto, 1.0), (slow, -1.0))
            for name in self._starts[row]:
                gain = repeat * (seconds[place] - seconds[place + 1])
                self.rows[name].terms.append((slow, gain))

    def _columns(self) -> None:
        self.count: dict[int, pulp.LpVariable] = {}
        self.flow: dict[tuple[int, int], pulp.LpVariable] = {}
        for column in self.active:
            candidate = self.candidates[column]
            count = self._variable(f"count_{candidate.key}", pulp.LpInteger)
            self.count[column] = count
            if column in self.variation.counts:
                count.lowBound = count.upBound = self.variation.counts[column]
            for name, coefficient in self.inventory(column):
                self.rows[name].terms.append((count, coefficient))
            if "budget" in self.rows:
                self.rows["budget"].terms.append((count, self.cost(column)))
            usages = self.rules(column)
            for rule in usages:
                self._row(f"{rule}_{candidate.key}", pulp.LpConstraintLE, 0.0, (count, -1.0))
            for row in range(len(self.traffic)):
                if not candidate.serves[row]:
                    continue
                flow = self._variable(f"flow_c{row}_{candidate.key}")
                self.flow[row, column] = flow
                for name, coefficient in self.flow_column(row, column):
                    self.rows[name].terms.append((flow, coefficient))
                shares = {
                    rule: float(usage[row] * self.rate[row]) for rule, usage in usages.items()
                }
                for rule, share in shares.items():
                    self.rows[f"{rule}_{candidate.key}"].terms.append((flow, share))
                self._serve_only_where_built(row, column, max(shares.values()))
            if isinstance(self.load, pulp.LpVariable):
                self._spread_siblings(column, self.load)

    def _spread_siblings(self, column: int, load: pulp.LpVariable) -> None:
        """Write the rule `siblings` where the load is a variable.

        ``flow ≤ φ · θ · count`` is linear where counts are given. Elsewhere ``count ≥ 1/φ`` (or no
        instance at all) stands for it, which implies it as ``flow ≤ θ``.
        """
        key, count = self.candidates[column].key, self.count[column]
        bursts, share = self._bursts(column), self.candidates[column].burst_share
        if column in self.variation.counts:
            for row in bursts:
                name, most = f"siblings_c{row}_{key}", share * self.variation.counts[column]
                flow = self.flow[row, column]
                self._row(name, pulp.LpConstraintLE, 0.0, (flow, 1.0), (load, -most))
        elif bursts:
            used = self.model.add_variable(f"used_{key}", 0, 1, pulp.LpInteger)
            least, most = math.ceil(1.0 / share - 1e-9), self._most_instances(column)
            name = f"siblings_{key}"
            self._row(name, pulp.LpConstraintLE, 0.0, (used, float(least)), (count, -1.0))
            name = f"used_{key}"
            self._row(name, pulp.LpConstraintLE, 0.0, (count, 1.0), (used, -float(most)))

    def _most_instances(self, column: int) -> int:
        engine = self.candidates[column].engine
        extra, size = self.variation.extra_nodes.get(engine.gpu, (0, 0))
        pool = self._pools[engine.gpu]
        stages = pool.nodes * (pool.gpus_per_node // engine.tp) + extra * (size // engine.tp)
        return stages // engine.pp

    def _serve_only_where_built(self, row: int, column: int, share: float) -> None:
        """Add the valid inequality ``flow ≤ θ · count`` where no rule implies it.

        Where θ is a variable, a load that no plan exceeds takes its place.

        A single instance that could serve a whole class and more would otherwise appear in the
        LP as a small fraction of an instance, and the bound would be poor on small clusters.
        """
        known = not isinstance(self.load, pulp.LpVariable) or self.load_bound is not None
        # θ is not known, its upper bound is poor: only for what a solver takes for nothing
        most, enough = self.load_most, 1.0 if known else NEGLIGIBLE
        if share * most >= enough or math.isinf(most):
            return
        name = self.built_row(row, column)
        if self._cuts is not None and name not in self._cuts:
            return
        flow, count = self.flow[row, column], self.count[column]
        self._row(name, pulp.LpConstraintLE, 0.0, (flow, 1.0), (count, -most))

    def built_row(self, row: int, column: int) -> str:
        """Return the name of the inequality ``flow ≤ θ · count``."""
        return f"built_c{row}_{self.candidates[column].key}"

    def flow_column(self, row: int, column: int) -> Column:
        """Return what one unit of flow does in the shared rows."""
        return [
            *self.demand(row, column),
            *self.path(row, column),
            *self.pairing(row, column),
        ]

    def inventory_prices(self, gpu: str, duals: dict[str, float]) -> tuple[float, float]:
        """Return the gains of one more GPU, alone in its node, and of one more node.

        Units of the objective, ≥ 0, from the duals of the rows of every stage size q. Where
        nodes are rented whole, a single GPU is of no use and a node's rent counts against it.
        """
        if gpu not in self._sizes:
            return 0.0, 0.0
        label, pool = self._labels[gpu], self._pools[gpu]
        prices = {
            size: max(0.0, -duals.get(f"inventory_{label}_tp{size}", 0.0))
            for size in self._sizes[gpu]
        }
        node = sum(price * (pool.gpus_per_node // size) for size, price in prices.items())
        if gpu not in self.nodes:
            return prices.get(1, 0.0), node
        rent = self.problem.price_per_hour(gpu) * pool.gpus_per_node
        node += duals.get("budget", 0.0) * rent - (rent if self.objective == "cost" else 0.0)
        node = max(0.0, node)
        return (node if pool.gpus_per_node == 1 else 0.0), node

    def cost_terms(self) -> list[tuple[pulp.LpVariable, float]]:
        """Return the cost of the plan in US$/h as terms over the active candidates."""
        counts = [(variable, self.cost(column)) for column, variable in self.count.items()]
        return counts + self._node_costs()

    def _assemble(self) -> None:
        if self.bought:
            terms = [
                (variable, float(self._pools[gpu].gpus_per_node))
                for gpu, variable in self.bought.items()
            ]
        elif self.objective == "cost":
            terms = self.cost_terms()
        else:
            target = self.load if self.objective == "load" else self.scale
            assert isinstance(target, pulp.LpVariable)
            terms = [(target, 1.0)]
        self.model.setObjective(pulp.LpAffineExpression(terms))
        for name, row in self.rows.items():
            expression = pulp.LpAffineExpression([(v, c / row.unit) for v, c in row.terms])
            rhs = row.rhs / row.unit
            self.model.addConstraint(pulp.LpConstraint(expression, row.sense, name, rhs))


def _unit(most: float) -> float:
    """Return 1 for loads of ordinary size, else about a tenth of the most that there can be."""
    ordinary = 0.1 <= most <= 1e4 or most <= 0.0 or math.isinf(most)
    return 1.0 if ordinary else most / 10.0


def _labels(gpus: Iterable[str]) -> dict[str, str]:
    """Return GPU names as the .lp format allows them, still different from each other."""
    labels: dict[str, str] = {}
    for gpu in gpus:
        label = re.sub(r"[^A-Za-z0-9]", "_", gpu)
        while label in labels.values():
            label += "_"
        labels[gpu] = label
    return labels
