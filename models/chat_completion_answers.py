"""The objects that `/chat/completions` answers with: a whole completion, or its chunks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from models.ids import Prefix, new_id
from models.language_model import (
    CallDelta,
    Finish,
    FinishReason,
    ModelDelta,
    PassedOn,
    RefusalDelta,
    TextDelta,
    TokenUsage,
)

Json = dict[str, Any]


@dataclass
class ChatCompletion:
    """Collects an answer. Each delta has its chunk too, in the order in which they are read.

    An answer that is passed on keeps what the provider says, but for the model: its name is the one that was asked for.
    To `has_functions`, the form before tools, it is one call at most: the first.
    """

    id: str
    created: int
    model: str
    has_functions: bool = False
    text: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    finish: Finish | None = None
    passed_on: Json | None = None
    passed_on_bytes: int = 0
    has_told_usage: bool = False

    def first_chunks(self, delta: ModelDelta) -> Iterator[Json]:
        """Those of the answer's first delta."""
        if not isinstance(delta, PassedOn):
            yield self._chunk({"role": "assistant", "content": "", "refusal": None})
        if chunk := self.read(delta):
            yield chunk

    def read(self, delta: ModelDelta) -> Json | None:
        """The chunk of `delta`, if it has one. `delta` is also added to the completion."""
        match delta:
            case PassedOn(content, size_bytes):
                self.passed_on_bytes = size_bytes
                self.passed_on = {**self._head("chat.completion.chunk"), **content, "model": self.model}
                self.has_told_usage = self.has_told_usage or bool(content.get("usage"))
                return self.passed_on
            case TextDelta(text=text):
                self.text.append(text)
                return self._chunk({"content": text})
            case RefusalDelta(text=text):
                self.refusal.append(text)
                return self._chunk({"refusal": text})
            case CallDelta(index=index):
                call = self._call(delta)
                if not self.has_functions:
                    return self._chunk({"tool_calls": [call]})
                return self._chunk({"function_call": call["function"]}) if index == 0 else None
            case Finish():
                self.finish = delta
                return None if self.passed_on else self._chunk({}, self._reason)

    def usage_chunk(self) -> Json:
        head = self._head("chat.completion.chunk")
        # Its id and time are those of the chunks before it.
        known = {name: self.passed_on[name] for name in ("id", "created")} if self.passed_on else {}
        return {**head, **known, "choices": [], "usage": self._usage()}

    def whole(self) -> Json:
        """The completion, once a `Finish` was read."""
        if self.passed_on:
            usage = self.passed_on.get("usage") or self._usage()
            return {**self.passed_on, "object": "chat.completion", "usage": usage}
        message: Json = {
            "role": "assistant",
            "content": "".join(self.text) or (None if self.calls or self.refusal else ""),
            "refusal": "".join(self.refusal) or None,
            "annotations": [],
        }
        calls = [
            {**call, "function": {**call["function"], "arguments": "".join(call["function"]["arguments"])}}
            for call in self.calls
        ]
        if calls:
            message |= {"function_call": calls[0]["function"]} if self.has_functions else {"tool_calls": calls}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._reason}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self._usage()}

    @property
    def _reason(self) -> str | None:
        if self.finish is None:
            return None
        is_older_call = self.has_functions and self.finish.reason is FinishReason.TOOL_CALLS
        return "function_call" if is_older_call else self.finish.reason.value

    def _call(self, delta: CallDelta) -> Json:
        if delta.index < len(self.calls):
            self.calls[delta.index]["function"]["arguments"].append(delta.arguments)
            return {"index": delta.index, "function": {"arguments": delta.arguments}}
        head = {"id": new_id(Prefix.CALL), "type": "function"}
        self.calls.append({**head, "function": {"name": delta.name, "arguments": [delta.arguments]}})
        return {"index": delta.index, **head, "function": {"name": delta.name, "arguments": delta.arguments}}

    def _chunk(self, delta: Json, reason: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> Json:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _usage(self) -> Json:
        usage = self.finish.usage if self.finish else TokenUsage()
        return {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        }
