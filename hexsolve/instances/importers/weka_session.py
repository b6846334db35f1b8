"""One coding-agent session as a workflow: order, parents, tool delays, prefixes.

What is assumed
---------------
- The main line is sequential. Of the 43,406 pairs of successive calls in the public trace none
  start out of order and 5 overlap, by less than 14 s; overlaps are read as no delay.
- A sub-agent's `t` is its completion and the times inside are relative to its start, which is
  ``t − duration_ms``. Without a duration it ran in the background: `t` is its launch (the four
  in the public trace say "async_launched" and start as the call before ends). Its first call
  is a child of the last main call that started before; the first main call that starts after
  its completion waits for it. Sub-agents that overlap run in parallel; main calls in between,
  if any, do not wait.
- Tool (and user) delays are differences of start times and ends of parents, not the field
  `think_time`: that one keeps counting from the last call with a known `api_time`, so a row of
  calls without it would be charged the same seconds again and again. Where both are defined
  they agree to a second.
- Where `api_time` is absent the call is taken to last 2.9 s + 0.0153 s per output token (least
  squares over the calls of the public trace that have it), at most until the next one.
- Prefixes are what block ids prove: full blocks of earlier prompts. In truth up to 63 tokens
  more, and the earlier call's output, may be shared as well.
"""

from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf
from typing import Any

from hexsolve.instances.importers.prefixes import ID_LIMIT, PrefixTree, Run, runs_of
from hexsolve.instances.reading.fields import Fields, shown
from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Call, Workflow

SERVICE_BASE_S = 2.9
SERVICE_S_PER_TOKEN = 0.0153

# Start times are whole seconds, completions are not: a successor may seem to start before
# the sub-agent it waits for has completed.
CLOCK_TOLERANCE_S = 1.0

# Bounds the time a hostile file can take; the longest session of the public trace has 514.
MAX_SESSION_CALLS = 10_000

MAX_DEPTH = 8
"""Sub-agents of sub-agents that are followed; the public trace has one level."""


@dataclass(slots=True)
class _Step:
    """A call or sub-agent on the session's clock."""

    record: Fields
    start: float
    end: float


class SessionReader:
    """Turns session records into workflows and counts what had to be estimated."""

    def __init__(self) -> None:
        self.estimated_ends = 0
        self.sub_agents = 0
        self.sub_agent_calls = 0

    def workflow(self, session: Fields) -> Workflow:
        """Return a session as a workflow with arrival 0.

        Raises
        ------
        InputError
            A field is missing or out of range, or times go back.
        """
        builder = _Builder(self, session)
        builder.lay(session, offset=0.0, parent=-1, depth=0)
        name = session.text("id", "session")
        return Workflow(name[:80], 0.0, tuple(builder.calls), workflow_class="coding-agent")

    def notes(self) -> tuple[str, ...]:
        """Return what was assumed, with counts."""
        return (
            "the trace has no arrival times across sessions; all are 0 until composed",
            f"{self.sub_agents} sub-agents with {self.sub_agent_calls} calls run beside the main "
            "line, whose next call waits for them",
            f"{self.estimated_ends} calls have no api_time; it was estimated as "
            f"{SERVICE_BASE_S} s + {SERVICE_S_PER_TOKEN} s per output token",
            "delays between calls include the user's thinking time, up to many hours",
        )


class _Builder:
    """The calls of one session while it is being read."""

    def __init__(self, reader: SessionReader, session: Fields):
        self.reader = reader
        has_block = "block_size" in session.data
        self.block = session.tokens("block_size", least=1) if has_block else 64
        self.calls: list[Call] = []
        self.ends: list[float] = []
        self.tree = PrefixTree()

    def lay(self, holder: Fields, offset: float, parent: int, depth: int) -> int:
        """Append a strand (main line or sub-agent) and return the index of its last call.

        Parameters
        ----------
        holder : Fields
            The object with `requests`.
        offset : float
            The strand's zero on the session's clock, s.
        parent : int
            The call that spawned the strand; -1 for the main line.
        depth : int
            0 for the main line.
        """
        if depth > MAX_DEPTH:
            raise holder.error("requests", f"sub-agents nested at most {MAX_DEPTH} deep")
        mains, agents = self._steps(holder, offset)
        first, later = ("sub-agent-start", "sub-agent-turn") if depth else ("start", "turn")
        running: list[tuple[float, int]] = []
        last = parent
        for position, step in enumerate(mains):
            joined = []
            while running and running[0][0] <= step.start + CLOCK_TOLERANCE_S:
                joined.append(heappop(running)[1])
            parents = (last, *sorted(joined)) if last >= 0 else ()
            last = self._append(step, parents, later if position else first)
            following = mains[position + 1].start if position + 1 < len(mains) else inf
            while agents and agents[-1].start < following - CLOCK_TOLERANCE_S:
                agent = agents.pop()
                agent_last = self.lay(agent.record, agent.start, last, depth + 1)
                heappush(running, (agent.end, agent_last))
                self.reader.sub_agents += 1
        return last

    def _steps(self, holder: Fields, offset: float) -> tuple[list[_Step], list[_Step]]:
        """Return the strand's calls in order and its sub-agents, latest start first."""
        mains: list[_Step] = []
        agents: list[_Step] = []
        for record in holder.records("requests"):
            time = offset + record.seconds("t")
            if "requests" in record.data:
                agents.append(_agent(record, time))
                continue
            if mains and time < mains[-1].start:
                raise record.error("t", "times in order within the session")
            if mains:
                mains[-1].end = min(mains[-1].end, max(time, mains[-1].start))
            mains.append(_Step(record, time, time + self._service(record)))
        if not mains:
            raise holder.error("requests", "a list with at least one call")
        agents.sort(key=lambda step: -step.start)
        return mains, agents

    def _service(self, record: Fields) -> float:
        if record.data.get("api_time") is not None:
            return record.seconds("api_time")
        self.reader.estimated_ends += 1
        return _estimated_service(record)

    def _append(self, step: _Step, parents: tuple[int, ...], name: str) -> int:
        index = len(self.calls)
        record = step.record
        if index >= MAX_SESSION_CALLS:
            raise record.error("requests", f"at most {MAX_SESSION_CALLS} calls in a session")
        prompt = record.tokens("in", least=1)
        blocks, owner = self.tree.add(_runs(record), index)
        shared = min(blocks * self.block, prompt)
        if owner >= 0:
            shared = min(shared, self.calls[owner].prompt_tokens)
        released = max((self.ends[parent] for parent in parents), default=step.start)
        self.reader.sub_agent_calls += name.startswith("sub-agent")
        self.calls.append(
            Call(
                prompt_tokens=prompt,
                output_tokens=record.tokens("out"),
                parents=parents,
                tool_seconds=max(0.0, step.start - released),
                prefix_call=owner if shared else -1,
                prefix_tokens=shared,
                name=name,
            )
        )
        self.ends.append(step.end)
        return index


def _estimated_service(record: Fields) -> float:
    return SERVICE_BASE_S + SERVICE_S_PER_TOKEN * record.tokens("out")


def _agent(agent: Fields, time: float) -> _Step:
    """Return a sub-agent with its start and end; `time` is either, see the module's notes."""
    if agent.data.get("duration_ms") is not None:
        return _Step(agent, time - agent.seconds("duration_ms") / 1e3, time)
    calls = [record for record in agent.records("requests") if "requests" not in record.data]
    if not calls:
        return _Step(agent, time, time)
    last = calls[-1]
    span = last.seconds("t") + last.seconds("api_time", _estimated_service(last))
    return _Step(agent, time, time + span)


def _runs(record: Fields) -> list[Run]:
    """Return a call's block runs from either form; a call with neither shares nothing."""
    if "hash_rle" in record.data:
        return [_run(record, pair) for pair in record.items("hash_rle")]
    if "hash_ids" in record.data:
        try:
            return runs_of(record.items("hash_ids"))
        except InputError as error:
            raise InputError(
                error.message, source=record.source, field=record.place("hash_ids")
            ) from None
    return []


def _run(record: Fields, pair: Any) -> Run:
    if isinstance(pair, list) and len(pair) == 2:
        first, count = pair
        sound = type(first) is int and type(count) is int
        if sound and 0 <= first < ID_LIMIT and 0 <= count < ID_LIMIT:
            return first, count
    raise InputError(
        f"holds {shown(pair)}; allowed: pairs [first id, number of blocks] of integers ≥ 0",
        source=record.source,
        field=record.place("hash_rle"),
    )
