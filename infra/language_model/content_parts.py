"""The text of an answer that some providers send as a list of parts, beside their thoughts and references."""

from collections.abc import Iterable, Mapping
from typing import Any

TEXT_TYPES = frozenset({"text", "output_text"})


def text_of_parts(parts: Iterable[Any]) -> str:
    """Other parts are left out: thoughts are no part of the answer."""
    return "".join(map(_text, parts))


def _text(part: Any) -> str:
    match part:
        case str():
            return part
        case Mapping() if part.get("type", "text") in TEXT_TYPES and isinstance(part.get("text"), str):
            return str(part["text"])
    return ""
