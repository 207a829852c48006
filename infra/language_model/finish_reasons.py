"""Finish reasons of answers, from OpenAI's words to ours."""

from models.language_model import FinishReason

FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}


def corrected(reason: FinishReason, has_calls: bool) -> FinishReason:
    """`reason`, corrected for providers that send "stop" after calls, or the reverse."""
    if reason in {FinishReason.STOP, FinishReason.TOOL_CALLS}:
        return FinishReason.TOOL_CALLS if has_calls else FinishReason.STOP
    return reason
