"""The fields of chunks and of whole answers, of the types that they must have."""

import json
import math
from collections.abc import Mapping
from typing import Any

from infra.language_model.chat_completions.failures import CallFailed, UnreadableAnswer, reported_in_stream
from models.language_model import TokenUsage
from models.wire import MAX_SAFE_INTEGER

END_OF_STREAM = b"[DONE]"


def _finite(number: str) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None


# Log probabilities that are no numbers of JSON, or too large for one, are null: they could not be passed on.
_JSON = json.JSONDecoder(parse_constant=lambda _: None, parse_float=_finite)


def parsed(data: bytes) -> Mapping[str, Any]:
    """A chunk or answer. Raises `CallFailed` if it reports an error, `UnreadableAnswer` if it is no object."""
    try:
        content = _JSON.decode(data.decode(json.detect_encoding(data), "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswer("has a piece that is not JSON") from error
    if failure := reported_in_stream(content):
        raise CallFailed(failure)
    return as_object(content)


def usage_in(usage: Mapping[str, Any] | None) -> TokenUsage | None:
    """None if the endpoint reported none."""
    if usage is None:
        return None
    prompt, completion = (_object_in(usage.get(f"{part}_tokens_details")) for part in ("prompt", "completion"))
    return TokenUsage(
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        cached_tokens=_count(prompt.get("cached_tokens")),
        reasoning_tokens=_count(completion.get("reasoning_tokens")),
    )


def reported_usage(piece: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The usage in a chunk or answer, None if it has none that can be read."""
    return _object_in(piece.get("usage")) or None


def as_object(value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnreadableAnswer(f"has a piece with {type(value).__name__} in place of an object")
    return value


def as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise UnreadableAnswer(f"has a piece with {type(value).__name__} in place of a list")
    return value


def as_text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnreadableAnswer(f"has a piece with {type(value).__name__} in place of text")
    return value


# An invalid count is no reason to discard a paid answer.
def _object_in(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    return min(max(value, 0), MAX_SAFE_INTEGER) if isinstance(value, int) else 0
