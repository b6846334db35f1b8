"""What a policy may look at: clock, instances, caches; read-only."""

from typing import TYPE_CHECKING

from hexsolve.models.simulation.calls import RevealedCall
from hexsolve.models.simulation.clock import SECOND
from hexsolve.models.simulation.cluster import SimulatedCluster, SimulatedInstance
from hexsolve.models.simulation.decode import DecodeInstance
from hexsolve.models.simulation.dispatch import can_take
from hexsolve.models.simulation.links import MICRO
from hexsolve.models.simulation.mixed import MixedInstance
from hexsolve.models.simulation.own_prefix import own_prefix
from hexsolve.models.simulation.prefill import PrefillInstance

if TYPE_CHECKING:
    from hexsolve.models.simulation.engine import Instance, Simulation


class InstanceView:
    """One instance as its scheduler-side metrics show it."""

    __slots__ = ("_instance", "_simulation", "capacity", "number", "role", "spec")
    __deletable__ = ("_simulation",)

    def __init__(self, simulation: "Simulation", instance: "Instance") -> None:
        self._simulation = simulation
        self._instance = instance
        self.number = instance.number
        self.spec: SimulatedInstance = instance.spec
        self.role = instance.spec.role
        self.capacity = instance.pool.capacity

    def close(self) -> None:
        """Let go of a simulation that is over."""
        del self._simulation

    @property
    def up(self) -> bool:
        """Whether it runs."""
        return self._instance.up

    @property
    def free_in_s(self) -> float:
        """Seconds until a prefill instance can start its next batch; 0 for others."""
        instance = self._instance
        if not isinstance(instance, PrefillInstance):
            return 0.0
        return max(0, instance.free_at - self._simulation.now) / SECOND

    @property
    def pending_tokens(self) -> int:
        """New prompt tokens of queued calls, as their caches were when they were queued."""
        instance = self._instance
        return 0 if isinstance(instance, DecodeInstance) else instance.pending_tokens

    @property
    def pending_pairs(self) -> float:
        """Token pairs of attention of queued calls, ``Σ n·(h + n/2)``, likewise."""
        instance = self._instance
        return 0.0 if isinstance(instance, DecodeInstance) else instance.pending_work / 2

    @property
    def pending_output(self) -> int:
        """Predicted output of all calls bound to this decode or mixed instance, tokens."""
        instance = self._instance
        return 0 if isinstance(instance, PrefillInstance) else instance.pending_output

    @property
    def running(self) -> int:
        """Calls that decode here."""
        instance = self._instance
        return 0 if isinstance(instance, PrefillInstance) else instance.batch

    @property
    def admitted(self) -> int:
        """Calls that decode here or whose KV is here or on its way."""
        instance = self._instance
        return 0 if isinstance(instance, PrefillInstance) else instance.admitted

    @property
    def bound(self) -> int:
        """Calls placed on this decode or mixed instance that are not complete."""
        instance = self._instance
        return 0 if isinstance(instance, PrefillInstance) else instance.bound

    @property
    def bound_tokens(self) -> int:
        """Prompt tokens of the calls placed here that do not decode yet."""
        instance = self._instance
        return 0 if isinstance(instance, PrefillInstance) else instance.bound_tokens

    @property
    def untouched(self) -> bool:
        """Whether it is up, has no call, and nothing is cached."""
        instance = self._instance
        if not instance.up or instance.pool.used:
            return False
        if isinstance(instance, PrefillInstance):
            return not instance.pending_tokens and instance.free_at <= self._simulation.now
        return not instance.bound

    @property
    def context_tokens(self) -> int:
        """Tokens that the running calls hold."""
        instance = self._instance
        if isinstance(instance, PrefillInstance):
            return 0
        self._sync()
        return instance.context + instance.begun * instance.batch

    @property
    def inbound_tokens(self) -> int:
        """Tokens of prefilled calls that wait for admission to this decode instance."""
        instance = self._instance
        return instance.inbound_tokens if isinstance(instance, DecodeInstance) else 0

    @property
    def free_tokens(self) -> int:
        """Pool minus what active calls hold and were promised."""
        instance = self._instance
        pool = instance.pool
        if isinstance(instance, PrefillInstance):
            return pool.capacity - pool.pinned
        self._sync()
        return pool.capacity - pool.pinned - instance.promised()

    def queued(self) -> list[RevealedCall]:
        """Return the calls that wait here (for prefill, or for admission to decode), in order."""
        instance = self._instance
        heap = instance.inbound if isinstance(instance, DecodeInstance) else instance.queue
        return [call for _, _, ticket, call in sorted(heap) if ticket == call.ticket]

    def active(self) -> list[RevealedCall]:
        """Return the calls that decode here, by number."""
        instance = self._instance
        if isinstance(instance, PrefillInstance):
            return []
        return [instance.runs[number].call for number in sorted(instance.runs)]

    def filling(self) -> list[tuple[RevealedCall, int]]:
        """Return the calls in prefill on a mixed instance, in the order in which they are served.

        With the tokens of each that no step has begun to prefill.
        """
        instance = self._instance
        if not isinstance(instance, MixedInstance) or not instance.filling:
            return []
        chunks = {call.number: chunk for call, chunk in instance.chunks}
        calls = sorted(instance.filling, key=lambda call: (call.priority, call.sequence))
        return [(call, call.length - call.filled - chunks.get(call.number, 0)) for call in calls]

    @property
    def chunk_end_in_s(self) -> float:
        """Seconds until the step under way ends, if it prefills on a mixed instance; 0 if not."""
        instance = self._instance
        if not isinstance(instance, MixedInstance) or not instance.chunks:
            return 0.0
        return max(0, instance.step_end() - self._simulation.now) / SECOND

    def emitted(self, call: RevealedCall) -> int:
        """Return the output tokens of a call that decodes here, up to now."""
        instance = self._instance
        if isinstance(instance, PrefillInstance):
            return call.emitted
        self._sync()
        return instance.emitted(call)

    def cached_tokens(self, call: RevealedCall) -> int:
        """Return how many leading tokens of the call's prompt are present here."""
        return self._instance.pool.match(call.number, call.length)

    def _sync(self) -> None:
        instance = self._instance
        if not isinstance(instance, PrefillInstance):
            instance.sync(self._simulation.now, self._simulation.again)


class ClusterView:
    """The cluster at this instant, for policies."""

    __slots__ = ("_simulation", "cluster", "decodes", "instances", "mixed", "prefills")
    __deletable__ = ("_simulation",)

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self.cluster: SimulatedCluster = simulation.cluster
        self.instances = tuple(InstanceView(simulation, i) for i in simulation.instances)
        self.prefills = tuple(i for i in self.instances if i.role == "prefill")
        self.decodes = tuple(i for i in self.instances if i.role == "decode")
        self.mixed = tuple(i for i in self.instances if i.role == "mixed")

    def close(self) -> None:
        """Let go of a simulation that is over; there is nothing left to look at.

        The two refer to each other, and a study would keep its runs in memory until the garbage
        collector comes round, which it rarely does (see `rare_collections`).
        """
        del self._simulation
        for instance in self.instances:
            instance.close()

    @property
    def now_s(self) -> float:
        """Simulated time, s."""
        return self._simulation.now / SECOND

    @property
    def now(self) -> int:
        """Simulated time, ticks."""
        return self._simulation.now

    @property
    def waiting(self) -> tuple[RevealedCall, ...]:
        """Calls without a place, by number."""
        return tuple(self._simulation.waiting)

    @property
    def live(self) -> tuple[RevealedCall, ...]:
        """All revealed calls that are not complete, by number."""
        calls = self._simulation.live
        return tuple(calls[number] for number in sorted(calls))

    def prefilled_in_s(self, call: RevealedCall) -> float:
        """Return the seconds until the batch ends in which `call` is prefilled.

        For calls in prefill on a prefill instance; see `InstanceView.filling` for mixed ones.
        """
        return max(0, call.prefill_end - self._simulation.now) / SECOND

    def landed_in_s(self, call: RevealedCall) -> float:
        """Return the seconds until the KV of a call in transfer has landed.

        At the rate that its flow has now; more or fewer flows on a shared link change that.
        """
        rate = call.flow_rate
        if not rate:
            bandwidth = self._simulation.links.bandwidth
            rate = min(bandwidth[call.prefill], bandwidth[call.decode])
        # A microbyte at a byte/s is a microsecond.
        sent = (call.flow_micros / rate + call.flow_picos / rate / MICRO) / MICRO
        begun = (call.flow_since - self._simulation.now) / SECOND
        return max(0.0, begun + sent + self.cluster.transfer_latency_s)

    def own_prefix(self, call: RevealedCall) -> tuple[int, int]:
        """Return the tokens of the prompt that its own workflow has prefilled, and held at decode.

        Whether or not they are cached now; see `hexsolve.models.simulation.own_prefix`.
        """
        return own_prefix(self._simulation.tree, call)

    def can_prefill(self, call: RevealedCall, number: int) -> bool:
        """Return whether `call` can be prefilled on instance `number`."""
        return self.instances[number].role == "prefill" and can_take(self._simulation, call, number)

    def can_decode(self, call: RevealedCall, number: int) -> bool:
        """Return whether `call` can decode on instance `number`, as far as is known."""
        return self.instances[number].role == "decode" and can_take(self._simulation, call, number)

    def can_mix(self, call: RevealedCall, number: int) -> bool:
        """Return whether `call` can run on mixed instance `number`, as far as is known."""
        return self.instances[number].role == "mixed" and can_take(self._simulation, call, number)

    def can_take(self, call: RevealedCall, number: int) -> bool:
        """Return whether instance `number`, whatever its role, is up and large enough."""
        return can_take(self._simulation, call, number)
