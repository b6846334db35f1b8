"""The rules of one group, as usage vectors; the mathematics is in docs/planning-model.md."""

from dataclasses import replace

import numpy as np

from hexsolve.models.assumptions import PlanningAssumptions
from hexsolve.models.latency import EnginePerformance
from hexsolve.models.plan import BatchCycle, DecodeStep, MixedStep, OperatingPoint, SingleCalls
from hexsolve.models.problem import PlanningProblem, Role
from hexsolve.models.standalone import instance_bandwidth
from hexsolve.solver.placement import siblings
from hexsolve.solver.placement.candidates import Candidate, engine_key
from hexsolve.solver.placement.traffic import Traffic, Vector


class GroupRules:
    """Builds candidates for one problem; one method per role and kind of operating point.

    `ignore` names constraint groups that are left out (``ttft``, ``tpot``, ``kv``, ``link``), for
    diagnosing infeasibility: points that only such a rule makes useless must not be pruned.
    """

    def __init__(
        self, problem: PlanningProblem, traffic: Traffic, ignore: frozenset[str] = frozenset()
    ):
        self.problem = problem
        self.traffic = traffic
        self.assumptions: PlanningAssumptions = problem.assumptions
        self.burstiness = problem.workload.burstiness
        self.ignore = ignore
        self._prefill_seconds: dict[str, Vector] = {}
        unlimited = np.full(len(traffic), np.inf)
        self._ttft_limit = unlimited if "ttft" in ignore else traffic.ttft_limit
        self._tpot_limit = unlimited if "tpot" in ignore else traffic.tpot_limit

    def prefill_seconds(self, engine: EnginePerformance) -> Vector:
        """``s``: prefill time of one call alone, per class, s."""
        key = engine_key(engine)
        if key not in self._prefill_seconds:
            self._prefill_seconds[key] = np.array(
                [
                    engine.prefill.call_seconds(new, cached)
                    for new, cached in zip(self.traffic.new, self.traffic.cached, strict=True)
                ]
            )
        return self._prefill_seconds[key]

    def marginal_seconds(self, engine: EnginePerformance) -> Vector:
        """``m = f1·n + f2·w``: what a call adds to a batch at most, per class, s."""
        _, per_token, per_pair = self._batch_bound(engine)
        return per_token * self.traffic.new + per_pair * self.traffic.attention_work

    def fixed_seconds(self, engine: EnginePerformance) -> float:
        """``f0``: what a batch costs at most besides its calls, s."""
        return self._batch_bound(engine)[0]

    def _batch_bound(self, engine: EnginePerformance) -> tuple[float, float, float]:
        return engine.prefill.affine_upper(self.assumptions.prefill_token_budget)

    def at(self, engine: EnginePerformance, role: Role, point: OperatingPoint) -> Candidate | None:
        """Return the candidate for an operating point, or None where it can serve nothing."""
        match point:
            case SingleCalls() if role == "prefill":
                return self.single(engine, point)
            case BatchCycle() if role == "prefill":
                return self.cycle(engine, point)
            case DecodeStep() if role == "decode":
                return self.decode(engine, point)
            case MixedStep() if role == "mixed":
                return self.mixed(engine, point)
        raise ValueError(f"operating point {point.kind!r} does not belong to role {role!r}")

    def single(self, engine: EnginePerformance, point: SingleCalls) -> Candidate | None:
        """Prefill one call at a time with mean wait W (Pollaczek–Khinchine, linear at fixed W).

        ``W = β · Σ flow · (E[S²] + k·E[S]²) / (2 · (N − Σ flow · E[S]))`` per N instances, solved
        for N (batch arrivals, see docs/planning-model.md). Half of the k siblings at a call's
        instance go before it. Nothing can be served without any wait.
        """
        if point.wait_s <= 0.0:
            return None
        seconds = self.prefill_seconds(engine)
        busy = seconds / engine.pp
        second_moment = self.burstiness * busy**2 * self.spread(point.burst_share)
        together = siblings.met(self.traffic, point.burst_share) * busy / 2.0
        usage = {
            "prefill_wait": busy + second_moment / (2.0 * point.wait_s),
            "prefill_utilisation": busy / self.assumptions.prefill_utilisation_max,
            **self._prefill_pool_and_link(engine, seconds),
        }
        lag = siblings.last(self.traffic, point.burst_share, point.wait_s + together, together)
        ttft = point.wait_s + seconds + together
        return self._candidate(engine, "prefill", point, usage, ttft, lag=lag)

    def cycle(self, engine: EnginePerformance, point: BatchCycle) -> Candidate | None:
        """Prefill in back-to-back batches of mean duration D (gated service).

        A batch lasts at most ``f0 + Σ m``; the fixed part f0 is paid once per cycle. A call
        waits for the rest of the batch in flight (``β · D/2``) and then for its own (``D + m``, and
        ``k·m`` of siblings), and W more because batches vary (see `cycle_excess`). Nothing is
        served without any wait.
        """
        if point.wait_s <= 0.0:
            return None
        marginal = self.marginal_seconds(engine)
        duration = point.cycle_s
        offered = self.assumptions.prefill_utilisation_max - self.fixed_seconds(engine) / duration
        if offered <= 0.0:
            return None
        share = point.burst_share
        excess = self.cycle_excess(engine, duration) * self.cycle_variation(engine, share)
        together = siblings.met(self.traffic, share) * marginal
        usage = {
            "prefill_cycle": marginal / engine.pp / offered,
            "prefill_cycle_wait": excess / point.wait_s,
            "prefill_token_budget": duration
            * self.traffic.new
            / (engine.pp * self.assumptions.prefill_token_budget),
            **self._prefill_pool_and_link(engine, duration + point.wait_s + marginal + together),
        }
        ttft = (1.0 + self.burstiness / 2.0) * duration + marginal + point.wait_s + together
        # Siblings at one instance end with one batch: nothing but the instances sets them apart.
        lag = siblings.last(self.traffic, share, point.wait_s + together, 0.0 * together)
        return self._candidate(engine, "prefill", point, usage, ttft, lag=lag)

    def cycle_excess(self, engine: EnginePerformance, duration: float) -> float:
        """``β·(1 + 2ρ) / (2·(1 − ρ²))`` at the largest share ρ of calls that the cycle allows.

        A batch takes f0 and m for each arrival during the one before it, so that its duration B
        has variance ``v·D/(1 − ρ²)``, ``v = Σ flow·E[m²]`` per instance. A call meets a batch of
        mean ``E[B²]/D = D + v/(1 − ρ²)``: half of it is left, ρ of it is work for its own batch.
        """
        share = max(
            0.0, self.assumptions.prefill_utilisation_max - self.fixed_seconds(engine) / duration
        )
        return self.burstiness * (1.0 + 2.0 * share) / (2.0 * (1.0 - share**2))

    def cycle_variation(self, engine: EnginePerformance, burst_share: float) -> Vector:
        """``m²·(1 + cv² + k)/pp``: what a call/s adds to v, per class, s²."""
        return self.marginal_seconds(engine) ** 2 * self.spread(burst_share) / engine.pp

    def spread(self, burst_share: float) -> Vector:
        """``1 + cv² + k``: second moment of the work that comes at once, per call and mean²."""
        return self.traffic.spread + siblings.met(self.traffic, burst_share)

    def _prefill_pool_and_link(
        self, engine: EnginePerformance, in_work: Vector
    ) -> dict[str, Vector]:
        """KV of prompts in work and in transfer, prefixes kept for the next call, and the link."""
        traffic, given = self.traffic, self.assumptions
        bandwidth = instance_bandwidth(self.problem, engine)
        transfer = given.transfer_latency_s + traffic.transfer_bytes / (
            bandwidth * (1.0 - given.link_utilisation_max)
        )
        held = (in_work + transfer) * (traffic.new + traffic.cached)
        until_next = traffic.tool_seconds + traffic.decode_steps * given.reference_tpot_s
        kept = until_next * traffic.cached / traffic.parallel
        return {
            "prefill_kv": (held + kept) / (given.kv_fill_max * engine.kv_capacity_tokens),
            "link": traffic.transfer_bytes / (given.link_utilisation_max * bandwidth),
        }

    def decode(self, engine: EnginePerformance, point: DecodeStep) -> Candidate | None:
        """Decode with step time τ: batch and context follow from Little's law.

        None where the fixed part of a step alone is longer than τ.
        """
        traffic, given, step = self.traffic, self.assumptions, point.step_s
        fixed, per_sequence, per_token = engine.decode.affine_upper(point.batch_reference)
        if fixed >= step:
            return None
        residence = step * traffic.decode_steps
        bandwidth = instance_bandwidth(self.problem, engine)
        usage = {
            "decode_step": residence
            * (per_sequence + per_token * traffic.context)
            / (step - fixed),
            "decode_batch": residence / given.max_batch,
            "decode_kv": residence
            * traffic.context
            / (given.kv_fill_max * engine.kv_capacity_tokens),
            "link": traffic.transfer_bytes / (given.link_utilisation_max * bandwidth),
        }
        return self._candidate(engine, "decode", point, usage, step_seconds=step)

    def mixed(self, engine: EnginePerformance, point: MixedStep) -> Candidate | None:
        """Both phases on one engine: steps of δ without their chunk, share ε of prefill work.

        None where the fixed part of a step alone is longer than δ.
        """
        traffic, given, delta = self.traffic, self.assumptions, point.decode_step_s
        fixed, per_sequence, per_token = engine.mixed.affine_upper(point.batch_reference)
        if fixed >= delta or point.wait_s <= 0.0:
            return None
        work = self.mixed_prefill_work(engine)
        service = work + np.ceil(traffic.new / given.chunk_tokens) * delta
        second_moment = self.burstiness * service**2 * self.spread(point.burst_share)
        together = siblings.met(traffic, point.burst_share) * service / 2.0
        residence = point.step_s * traffic.decode_steps
        pool = given.kv_fill_max * engine.kv_capacity_tokens
        usage = {
            "mixed_share": work / point.prefill_share,
            "mixed_step": residence
            * (per_sequence + per_token * traffic.context)
            / (delta - fixed),
            "mixed_batch": residence / given.max_batch,
            "mixed_wait": service + second_moment / (2.0 * point.wait_s),
            "mixed_utilisation": service / given.prefill_utilisation_max,
            "mixed_kv": (
                (service + residence) * traffic.context
                + traffic.tool_seconds * traffic.cached / traffic.parallel
            )
            / pool,
        }
        ttft = point.wait_s + service + delta / 2.0 + together
        # Siblings behind a call in the queue delay its decode steps by their chunks.
        behind = siblings.met(traffic, point.burst_share) * work / 2.0
        queued = behind + point.prefill_share * (point.wait_s + together + service)
        stretch = np.where(traffic.others > 0.0, queued / (1.0 - point.prefill_share), 0.0)
        wait = point.wait_s + together + stretch
        lag = siblings.last(traffic, point.burst_share, wait, together - behind)
        made = self._candidate(engine, "mixed", point, usage, ttft, point.step_s, lag)
        return replace(made, decode_seconds=made.decode_seconds + stretch)

    def mixed_prefill_work(self, engine: EnginePerformance) -> Vector:
        """``e``: what the chunks of one prompt add to the steps that carry them, per class, s."""
        return np.array(
            [
                engine.mixed.prefill_seconds(new, work)
                for new, work in zip(self.traffic.new, self.traffic.attention_work, strict=True)
            ]
        )

    def _candidate(
        self,
        engine: EnginePerformance,
        role: Role,
        point: OperatingPoint,
        usage: dict[str, Vector],
        ttft: Vector | None = None,
        step_seconds: float = 0.0,
        lag: Vector | None = None,
    ) -> Candidate:
        traffic = self.traffic
        first = np.zeros(len(traffic)) if ttft is None else ttft
        tokens = traffic.new + traffic.cached + (0.0 if role == "prefill" else traffic.output)
        capacity = np.inf if "kv" in self.ignore else engine.kv_capacity_tokens
        usage = {
            rule: values
            for rule, values in usage.items()
            if not ("link" in self.ignore and rule == "link")
            and not ("kv" in self.ignore and rule.endswith("_kv"))
        }
        serves = (
            (tokens <= capacity) & (first <= self._ttft_limit) & (step_seconds <= self._tpot_limit)
        )
        return Candidate(
            engine=engine,
            role=role,
            point=point,
            usage=usage,
            ttft=first,
            decode_seconds=step_seconds * traffic.decode_steps,
            bandwidth=instance_bandwidth(self.problem, engine),
            serves=serves,
            lag=np.zeros(len(traffic)) if lag is None else lag,
        )
