"""The message about a failed call: the provider's text, without litellm's additions and without secrets."""

import json
import re
from collections.abc import Mapping
from typing import Any

MAX_LENGTH = 1000
MAX_PARAMETER = 100
# Providers may return the request, megabytes of it: patterns are applied to no more than this.
MAX_READ = 4_000

# litellm prefixes its own class names and the provider's, and appends notes about its routing.
_PREFIXES = re.compile(r"^(?:\s*(?:litellm\.)?\w*(?:Error|Exception|Timeout)\w*\s*[:-]\s*)+")
_NOTES = re.compile(
    r"\n\nLiteLLM: model group|\nmodel=\S* *context_window_fallbacks=|\. ?Received Model Group=|"
    r"\. Handle with `litellm|\s*To drop these, set|\s*Available Model Group Fallbacks=|"
    r"\s*Set 'context_window_fallback'|\s*LiteLLM Retried:|\s*Traceback \(most recent call last\)"
)
_SECRETS = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf)[-_][\w*-]{6,}|\bAIza[\w-]{10,}|(?<=Bearer )[\w.~+/=-]{6,}"
    r"|(?<=key=)[^\s&\"']{6,}|(?<![\w-])[\w-]{0,40}\*{4,}[\w*-]{0,40}"
)


def failure_message(context: str, said: str) -> str:
    """`context: said`, at most `MAX_LENGTH` characters, on one line."""
    message = " ".join(_SECRETS.sub(_masked, f"{context}: {said[:MAX_READ]}").split())
    return message if len(message) <= MAX_LENGTH else message[: MAX_LENGTH - 1] + "…"


def without_wrapping(text: str) -> str:
    """The provider's part of `text`, the text of an exception of litellm."""
    said = _NOTES.split(text[:MAX_READ], maxsplit=1)[0]
    said = _PREFIXES.sub("", said).strip()
    return _message_in(said) or said


def _message_in(text: str) -> str | None:
    start = text.find("{")
    if start < 0:
        return None
    try:
        body = json.JSONDecoder().raw_decode(text[start:])[0]
    except (ValueError, RecursionError):
        return None
    error = body.get("error", body) if isinstance(body, Mapping) else None
    return message_of(error) if isinstance(error, Mapping) else None


def message_of(body: Mapping[str, Any]) -> str | None:
    message = body.get("message")
    if not (isinstance(message, str) and message):
        return None
    parameter = body.get("param")
    if not isinstance(parameter, str) or not parameter or parameter in message[:MAX_READ]:
        return message
    return f"{message[:MAX_LENGTH]} (Parameter: {parameter[:MAX_PARAMETER]})"


def _masked(secret: re.Match[str]) -> str:
    return f"{secret[0][:3]}…"
