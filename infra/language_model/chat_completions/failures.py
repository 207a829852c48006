"""Failures that an endpoint reports: by status and body, or in its stream."""

import json
from collections.abc import Mapping
from typing import Any

from infra.language_model.chat_completions.event_stream import DocumentTooLong
from infra.language_model.errors import AnswerTooLarge, ModelCallFailed, ModelStreamBroken
from infra.language_model.failure_facts import FailureFacts, error_document, reported_status
from infra.language_model.failure_message import message_of
from infra.language_model.failures import failure_of

NO_WORDS = "It did not say why."


class CallFailed(Exception):
    """The endpoint refused the call, broke it off, or could not be reached."""

    def __init__(self, facts: FailureFacts) -> None:
        super().__init__(facts.said)
        self.facts = facts


class UnreadableAnswer(Exception):
    """The answer is not in the form of chat completions, or lacks a valid end. `str()` continues a sentence."""


def translated(error: Exception, model: str, has_begun: bool) -> ModelCallFailed:
    """The `ModelCallFailed` for `error`, raised by a call of `model`. `has_begun`: part of the answer had arrived."""
    match error:
        case ModelCallFailed():
            return error
        case CallFailed(facts=facts):
            return failure_of(facts, model, has_begun)
        case UnreadableAnswer():
            return ModelStreamBroken(f"The answer of '{model}' {error}.")
        case DocumentTooLong():
            return AnswerTooLarge(f"The answer of '{model}' is too large: ask for fewer choices, or for a stream.")
    raise error


def refused_with(status: int, headers: Mapping[str, str], body: bytes) -> FailureFacts:
    """The facts of an HTTP error. `headers` have lower-case names."""
    error = _error_in(_parsed(body))
    said = _said(error) or " ".join(body.decode("utf-8", "replace").split()) or NO_WORDS
    return FailureFacts(status, True, _codes(error), headers, said, False, frozenset())


def reported_in_stream(content: Any) -> FailureFacts | None:
    """The facts of an error event, or of a list of errors as Gemini's endpoint sends them; None if it is no error."""
    reported = error_document(content)
    if reported is None:
        return None
    error = _error_in(reported)
    return FailureFacts(reported_status(error), False, _codes(error), {}, _said(error) or NO_WORDS, False, frozenset())


def unreachable(said: str) -> FailureFacts:
    return FailureFacts(None, False, frozenset(), {}, said, True, frozenset())


def misconfigured(said: str) -> FailureFacts:
    """The facts of a call that cannot be sent."""
    return FailureFacts(None, False, frozenset(), {}, said, False, frozenset())


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _error_in(content: Any) -> Mapping[str, Any]:
    match content:
        case [first, *_]:
            return _error_in(first)
        case {"error": str(message)} if message:
            return {**content, "message": message}
        case {"error": dict() as error} if error:
            return error
        case dict():
            return content
    return {}


def _said(error: Mapping[str, Any]) -> str | None:
    detail = error.get("detail")
    return message_of(error) or (detail if isinstance(detail, str) and detail else None)


def _codes(error: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(str(error[key]) for key in ("code", "type") if error.get(key))
