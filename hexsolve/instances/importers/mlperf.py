"""MLPerf agentic-coding conversations: messages as text, one workflow per conversation.

Format and data: https://github.com/mlcommons/endpoints (Apache-2.0). A line is one message
with `conversation_id`, `turn` and `role`; each assistant message is one LLM call whose prompt
is everything before it.

What is assumed: token counts are characters / 4 (the texts come without a tokenizer); the
context only grows, so a call's prompt starts with the whole prompt and output of the call
before; `delay_seconds` of the messages between two calls is the tool time; conversations with
the same system prompt and tools share exactly that part.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from hexsolve.instances.importers.text_length import CHARACTERS_PER_TOKEN, estimated_tokens
from hexsolve.instances.importers.trace import ImportedTrace
from hexsolve.instances.reading.fields import Fields
from hexsolve.instances.reading.files import records
from hexsolve.instances.reading.limits import Limits
from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Call, Workflow

ROLES = ("system", "user", "assistant", "tool")
_CONTENT = ("system", "tools", "content", "reasoning_content", "tool_calls", "tool_results")


class _Conversation:
    """The calls of one conversation while it is being read."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.characters = 0
        self.delay = 0.0
        self.shared = 0
        self.group = ""
        self.turn = -1

    def add(self, message: Fields) -> None:
        turn = message.tokens("turn")
        if turn <= self.turn:
            raise message.error("turn", f"more than {self.turn}, the turn before")
        self.turn = turn
        role = message.text("role")
        if role not in ROLES:
            raise message.error("role", ", ".join(ROLES))
        if role == "assistant":
            self._call(message)
            return
        self.delay += message.seconds("delay_seconds", 0.0)
        if not self.calls and "system" in message.data:
            common = _text(message.data["system"]) + _text(message.data.get("tools"))
            self.shared += len(common)
            self.group += hashlib.sha256(common.encode("utf-8", "replace")).hexdigest()[:12]
        self.characters += _characters(message)

    def _call(self, message: Fields) -> None:
        if not self.characters:
            raise message.error("role", "a user or system message before the first assistant's")
        prompt = estimated_tokens(self.characters)
        index = len(self.calls)
        if index:
            # The whole history is kept. Its parts are rounded one by one, hence the minimum.
            before = self.calls[-1]
            shared = min(prompt, before.prompt_tokens + before.output_tokens)
        else:
            shared = min(prompt, int(self.shared / CHARACTERS_PER_TOKEN))
        output = _characters(message)
        self.calls.append(
            Call(
                prompt_tokens=prompt,
                output_tokens=estimated_tokens(output) if output else 0,
                parents=(index - 1,) if index else (),
                tool_seconds=self.delay if index else 0.0,
                prefix_call=index - 1,
                prefix_tokens=shared,
                name="turn" if index else "start",
            )
        )
        self.characters += output
        self.delay = 0.0


def read(path: Path, limits: Limits) -> ImportedTrace:
    """Return one workflow per conversation, all with arrival 0.

    Raises
    ------
    InputError
        A field is missing or out of range, turns do not increase, or a conversation has no
        assistant message.
    """
    source = str(path)
    conversations: dict[str, _Conversation] = {}
    for count, (place, record) in enumerate(records(path, limits), 1):
        limits.check_calls(count, source)
        message = Fields(record, place)
        name = message.text("conversation_id")
        conversations.setdefault(name, _Conversation()).add(message)
    for name, conversation in conversations.items():
        if not conversation.calls:
            raise InputError(
                f"conversation {name[:40]!r} has no assistant message; allowed: at least one",
                source=source,
            )
    workflows = [
        Workflow(name[:80], 0.0, tuple(each.calls), "swe-agent", prefix_group=each.group)
        for name, each in conversations.items()
    ]
    if not workflows:
        raise InputError("holds no messages; allowed: at least one conversation", source=source)
    notes = (
        f"token counts are estimates: characters / {CHARACTERS_PER_TOKEN:g}",
        "the trace has no arrival times across conversations; all are 0 until composed",
    )
    return ImportedTrace(workflows, "mlperf", notes)


def _characters(message: Fields) -> int:
    return sum(len(_text(message.data.get(name))) for name in _CONTENT)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
