"""Reads the chunks of litellm's stream into deltas. Nothing is copied or validated: every token is a chunk."""

from collections.abc import Collection, Iterator
from typing import Any

from infra.language_model.call_pieces import CallPieces
from infra.language_model.finish_reasons import finish_reason_of
from infra.language_model.state_pieces import StatePieces
from models.language_model import Finish, ModelDelta, RefusalDelta, TextDelta, TokenUsage
from models.wire import MAX_SAFE_INTEGER

THINKING_BLOCKS, REASONING = "thinking_blocks", "reasoning_content"
SPECIFIC, SIGNATURES = "provider_specific_fields", "thought_signatures"
SIGNING = frozenset({"anthropic", "bedrock", "gemini", "vertex_ai", "vertex_ai_beta"})
"""Providers that want signed blocks, or signatures, and not the text of thoughts."""

LEGACY_CALL = "function_call"
"""Replaces the id that OpenAI's older form of a call lacks: an answer has only one such call."""


class LitellmAnswer:
    """One answer while it arrives: `read` every chunk, then take the `end`."""

    def __init__(self, names: Collection[str] = (), provider: str | None = None, vendor: str | None = None) -> None:
        """`names` are those of the functions that were offered; without `vendor` no state is kept."""
        self._provider, self._vendor = provider, vendor
        self._calls = CallPieces(names)
        self._state = StatePieces()
        self._reason: str | None = None
        self._usage: Any = None

    def read(self, chunk: Any) -> Iterator[ModelDelta]:
        self._usage = getattr(chunk, "usage", None) or self._usage
        for choice in chunk.choices[:1]:
            self._reason = choice.finish_reason or self._reason
            yield from self._read_delta(choice.delta)

    @property
    def is_over(self) -> bool:
        """litellm reports the usage last: after that and the finish reason, nothing follows."""
        return self._usage is not None and self._reason is not None

    def _read_delta(self, delta: Any) -> Iterator[ModelDelta]:
        if delta.content:
            yield TextDelta(delta.content)
        if refusal := getattr(delta, "refusal", None):
            yield RefusalDelta(refusal)
        for piece in delta.tool_calls or ():
            function = piece.function
            yield from self._calls.add(piece.index, piece.id, function.name or "", function.arguments or "")
            if kept := getattr(piece, SPECIFIC, None):
                self._state.add_to_call(self._calls.current, SPECIFIC, kept)
        function = delta.function_call
        if function and (function.name or function.arguments):
            yield from self._calls.add(None, LEGACY_CALL, function.name or "", function.arguments or "")

        self._keep_state(delta)

    def _keep_state(self, delta: Any) -> None:
        if self._vendor is None:
            return
        if blocks := getattr(delta, THINKING_BLOCKS, None):
            self._state.add(THINKING_BLOCKS, blocks)
        elif self._provider not in SIGNING and (text := getattr(delta, REASONING, None)):
            self._state.add(REASONING, text)
        if signatures := (getattr(delta, SPECIFIC, None) or {}).get(SIGNATURES):
            self._state.add(SPECIFIC, {SIGNATURES: signatures})

    def end(self) -> Iterator[ModelDelta]:
        """The deltas after the last chunk; the last of them is the `Finish`. Raises `AnswerAborted`."""
        yield from self._calls.finish()
        reason = finish_reason_of(self._reason or "", self._calls.has_any)
        state = self._state.state(self._vendor) if self._vendor and self._calls.has_any else None
        yield Finish(reason, _usage(self._usage), state)


def _usage(usage: Any) -> TokenUsage:
    prompt_details = getattr(usage, "prompt_tokens_details", None)
    completion_details = getattr(usage, "completion_tokens_details", None)
    return TokenUsage(
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        cached_tokens=_count(prompt_details, "cached_tokens"),
        reasoning_tokens=_count(completion_details, "reasoning_tokens"),
    )


def _count(usage: Any, name: str) -> int:
    # An invalid count is no reason to discard a paid answer.
    return min(max(getattr(usage, name, None) or 0, 0), MAX_SAFE_INTEGER)
