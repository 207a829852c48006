"""Finish reasons of answers, from providers' words to ours."""

from datetime import timedelta

from infra.language_model.errors import AnswerAborted
from models.language_model import FinishReason

WORDS = {
    FinishReason.STOP: "stop end_turn stop_sequence eos eos_token complete",
    # The last three: the model's context window ended the answer.
    FinishReason.LENGTH: "length max_tokens compaction "
    "model_length context_length_exceeded model_context_window_exceeded",
    FinishReason.TOOL_CALLS: "tool_calls tool_call tool_use function_call",
    FinishReason.CONTENT_FILTER: "content_filter content_filtered refusal safety sensitive recitation blocklist "
    "prohibited_content spii language error_toxic guardrail_intervened escalation "
    "image_safety image_prohibited_content image_recitation",
}
FINISH_REASONS = {word: reason for reason, words in WORDS.items() for word in words.split()}

MAX_WORD = 100
RETRY_AFTER = timedelta(seconds=2)
"""Instead of Temporal's own wait, which other failures of the turn may have made long."""


def known_finish_reason(word: str) -> FinishReason | None:
    """None for a word that does not say how the answer ended: `abort`, `malformed_function_call`, `error`, …"""
    return FINISH_REASONS.get(word.lower())


def ending_of(word: str) -> FinishReason:
    """Raises `AnswerAborted` for a word that is not known."""
    reason = known_finish_reason(word)
    if reason is None:
        raise AnswerAborted(f"The model's answer ended for the reason '{word[:MAX_WORD]}'.", RETRY_AFTER)
    return reason


def finish_reason_of(word: str, has_calls: bool) -> FinishReason:
    """The finish reason, corrected for providers that send "stop" after calls.

    Raises `AnswerAborted` for any other word, and for calls that are announced but missing.
    """
    reason = ending_of(word)
    if reason is FinishReason.TOOL_CALLS and not has_calls:
        said = f"The model's answer ended for the reason '{word[:MAX_WORD]}', but without a call."
        raise AnswerAborted(said, RETRY_AFTER)
    return FinishReason.TOOL_CALLS if reason is FinishReason.STOP and has_calls else reason
