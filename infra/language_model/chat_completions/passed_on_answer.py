"""Reads the answer to a `ChatBody`, whose pieces are passed on as the endpoint sends them."""

from collections.abc import Iterator, Mapping
from typing import Any

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
from infra.language_model.finish_reasons import ending_of
from models.language_model import ChatBody, FinishReason, PassedOn, TokenUsage

ENVELOPE = frozenset({"id", "object", "created", "model", "system_fingerprint", "service_tier", "choices", "usage"})
"""A piece with nothing else says nothing, unless it has choices or the usage."""

MODERATION = "moderation"


class PassedOnAnswer:
    """One answer while it arrives, with all of its choices; read as a `ChatCompletionsAnswer`."""

    state = None

    def __init__(self, body: ChatBody) -> None:
        self._body = body
        self._reasons: dict[int, str] = {}
        self._usage: Mapping[str, Any] | None = None
        # It has a chunk of its own, which may follow the usage.
        self._lacks_moderation = bool(body.fields.get(MODERATION))
        self._is_done = False

    @property
    def is_over(self) -> bool:
        has_all = len(self._reasons) >= self._body.choices and all(self._reasons.values())
        return self._is_done or has_all

    @property
    def is_whole(self) -> bool:
        return self._is_done or (self.is_over and self._usage is not None and not self._lacks_moderation)

    def read(self, data: bytes) -> Iterator[PassedOn]:
        """Raises `CallFailed` if the endpoint reports an error, `UnreadableAnswer` for what is no piece of one."""
        if self._is_done or data.startswith(END_OF_STREAM):
            self._is_done = True
            return
        piece = parsed(data)
        self._usage = reported_usage(piece) or self._usage
        self._lacks_moderation = self._lacks_moderation and not piece.get(MODERATION)
        choices = [self._choice(as_object(choice)) for choice in as_list(piece.get("choices"))]
        if choices or self._is_asked_for(piece):
            yield PassedOn({**self._without_usage(piece), "choices": choices}, len(data))

    def end(self) -> Iterator[PassedOn]:
        """Nothing is retained."""
        yield from ()

    @property
    def finish_reason(self) -> FinishReason:
        """The first choice's. Raises `UnreadableAnswer` if one has none, `AnswerAborted` for an unknown word."""
        if not self._reasons or not all(self._reasons.values()):
            raise UnreadableAnswer("ended without saying that it was complete")
        first, *_ = map(ending_of, self._reasons.values())
        return first

    @property
    def usage(self) -> TokenUsage | None:
        """None if the endpoint reported none."""
        return usage_in(self._usage)

    def _choice(self, choice: Mapping[str, Any]) -> Mapping[str, Any]:
        form, other = ("delta", "message") if self._body.is_streamed else ("message", "delta")
        if form not in choice and other in choice:
            raise UnreadableAnswer(f"{'is streamed' if other == 'delta' else 'is not streamed'}, unlike its request")
        as_object(choice.get(form))
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        self._reasons[index] = as_text(choice.get("finish_reason")) or self._reasons.get(index, "")
        return choice

    def _is_asked_for(self, piece: Mapping[str, Any]) -> bool:
        """Whether a piece without choices would be sent to the client: filters and moderation have such pieces."""
        if piece.get("usage") and not piece.get(MODERATION):
            # llama.cpp's has its `timings` as well, but clients without the option take the first of its choices.
            return self._body.wants_usage
        return any(value for name, value in piece.items() if name not in ENVELOPE)

    def _without_usage(self, piece: Mapping[str, Any]) -> Mapping[str, Any]:
        # It is asked for in every stream, to be counted.
        if not self._body.is_streamed or self._body.wants_usage:
            return piece
        return {name: value for name, value in piece.items() if name != "usage"}
