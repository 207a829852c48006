"""Reads the chunks of an answer into deltas. Only used fields are read, because every token is a chunk."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from infra.language_model.call_pieces import CallPieces
from infra.language_model.chat_completions.answer_fields import (
    END_OF_STREAM,
    as_list,
    as_object,
    as_text,
    parsed,
    reported_usage,
    usage_in,
)
from infra.language_model.chat_completions.failures import UnreadableAnswer
from infra.language_model.content_parts import text_of_parts
from infra.language_model.finish_reasons import finish_reason_of
from infra.language_model.state_pieces import StatePieces
from models.language_model import FinishReason, ModelDelta, RefusalDelta, TextDelta, TokenUsage
from models.provider_state import ProviderState

EXTRA_CONTENT = "extra_content"
"""Gemini's signatures, of the message and of calls."""
STATE_FIELDS = ("reasoning_content", "reasoning", "reasoning_details", EXTRA_CONTENT)
"""DeepSeek, Kimi and vLLM; vLLM and Groq; OpenRouter and MiniMax; Gemini."""

LEGACY_CALL = "function_call"
"""Replaces the id that OpenAI's older form of a call lacks: an answer has only one such call."""


class ChatCompletionsAnswer:
    """One answer of `vendor` while it arrives: `read` the data of every event, then take its end.

    `is_over` once only the usage or the stream's end can follow; `is_whole` once the usage has arrived as well.
    """

    def __init__(self, names: Collection[str] = (), vendor: str = "") -> None:
        """`names` are those of the functions that were offered."""
        self._vendor = vendor
        self._calls = CallPieces(names)
        self._state = StatePieces()
        self._reason: str | None = None
        self._usage: Mapping[str, Any] | None = None
        self._is_done = False

    @property
    def is_over(self) -> bool:
        return self._is_done or self._reason is not None

    @property
    def is_whole(self) -> bool:
        return self._is_done or (self._reason is not None and self._usage is not None)

    def read(self, data: bytes) -> Iterator[ModelDelta]:
        """Raises `CallFailed` if the endpoint reports an error, `UnreadableAnswer` if `data` is no chunk."""
        if self._is_done or data.startswith(END_OF_STREAM):
            self._is_done = True
            return
        chunk = parsed(data)
        self._usage = reported_usage(chunk) or self._usage
        if choices := as_list(chunk.get("choices")):
            choice = as_object(choices[0])
            # A server that does not stream sends one message in place of deltas.
            yield from self._read_delta(as_object(choice.get("delta") or choice.get("message")))
            self._reason = as_text(choice.get("finish_reason")) or self._reason

    def end(self) -> Iterator[ModelDelta]:
        """The retained pieces of the calls."""
        yield from self._calls.finish()

    @property
    def finish_reason(self) -> FinishReason:
        """Raises `UnreadableAnswer` if the answer has none, `AnswerAborted` for one that is no ending."""
        if self._reason is None:
            raise UnreadableAnswer("ended without saying that it was complete")
        return finish_reason_of(self._reason, self._calls.has_any)

    @property
    def state(self) -> ProviderState | None:
        """None if the answer has no calls with which it could be sent back."""
        return self._state.state(self._vendor) if self._calls.has_any else None

    @property
    def usage(self) -> TokenUsage | None:
        """None if the endpoint reported none."""
        return usage_in(self._usage)

    def _read_delta(self, delta: Mapping[str, Any]) -> Iterator[ModelDelta]:
        if text := _content(delta.get("content")):
            yield TextDelta(text)
        if refusal := as_text(delta.get("refusal")):
            yield RefusalDelta(refusal)
        if pieces := delta.get("tool_calls"):
            yield from self._read_calls(as_list(pieces))
        if legacy := delta.get("function_call"):
            name, arguments = _function(legacy)
            if name or arguments:
                yield from self._calls.add(None, LEGACY_CALL, name, arguments)
        for field in STATE_FIELDS:
            if kept := delta.get(field):
                self._state.add(field, kept)

    def _read_calls(self, pieces: list[Any]) -> Iterator[ModelDelta]:
        for piece in map(as_object, pieces):
            index = piece.get("index")
            name, arguments = _function(piece.get("function"))
            yield from self._calls.add(
                index if isinstance(index, int) else None, as_text(piece.get("id")), name, arguments
            )
            if kept := piece.get(EXTRA_CONTENT):
                self._state.add_to_call(self._calls.current, EXTRA_CONTENT, kept)


def _function(function: Any) -> tuple[str, str]:
    written = as_object(function)
    return as_text(written.get("name")), as_text(written.get("arguments"))


def _content(value: Any) -> str:
    return text_of_parts(value) if isinstance(value, list) else as_text(value)
