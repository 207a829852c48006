"""Reads JSON objects with models' errors: single quotes, trailing commas, bare keys, missing braces."""

import json
import re
from dataclasses import dataclass

CLOSERS = {"{": "}", "[": "]"}
PYTHON_WORDS = {"True": "true", "False": "false", "None": "null"}
# After one of these a quote opens a string, before one of these it closes one: so "it's" stays one string.
BEFORE_STRING = "{[,:"
AFTER_STRING = ",:}]"

_WORD = re.compile(r"[A-Za-z_][\w-]*")


@dataclass(frozen=True)
class FoundObject:
    """`text[start:end]` is an object; `is_closed` unless the text ended before its last brace."""

    start: int
    end: int
    is_closed: bool


def find_object(text: str, start: int) -> FoundObject:
    """The extent of the object whose opening brace is at `start`, without regard to braces in strings."""
    depth = 0
    position = start
    while position < len(text):
        character = text[position]
        if _opens_string(text, position):
            position = _string_end(text, position)
            continue
        depth += (character in "{[") - (character in "}]")
        position += 1
        if depth == 0:
            return FoundObject(start, position, True)
    return FoundObject(start, len(text), False)


def repaired_object(text: str) -> str | None:
    """`text` as a JSON object: itself if it is one, otherwise its most likely meaning. None if that is unclear."""
    if isinstance(_loaded(text), dict):
        return text
    meant = _loaded(_as_json(text), strict=False)
    return json.dumps(meant, ensure_ascii=False) if isinstance(meant, dict) else None


def _loaded(text: str, strict: bool = True) -> object:
    try:
        return json.loads(text, strict=strict)
    except (ValueError, RecursionError):
        return None


def _as_json(text: str) -> str:
    pieces: list[str] = []
    closers: list[str] = []
    position = 0
    while position < len(text):
        if _opens_string(text, position):
            end = _string_end(text, position)
            pieces.append(_json_string(text[position:end]))
            position = end
            continue
        if word := _WORD.match(text, position):
            pieces.append(_json_word(word[0], text, word.end()))
            position = word.end()
            continue
        character = text[position]
        if character in CLOSERS:
            closers.append(CLOSERS[character])
        elif closers and character == closers[-1]:
            closers.pop()
            _drop_trailing_comma(pieces)
        pieces.append(character)
        position += 1
    _drop_trailing_comma(pieces)
    return "".join([*pieces, *reversed(closers)])


def _opens_string(text: str, position: int) -> bool:
    if text[position] == '"':
        return True
    return text[position] == "'" and _next_visible(text, position - 1, -1) in BEFORE_STRING


def _string_end(text: str, start: int) -> int:
    quote = text[start]
    position = start + 1
    while position < len(text):
        if text[position] == "\\":
            position += 2
        elif text[position] == quote and (quote == '"' or _closes_string(text, position)):
            return position + 1
        else:
            position += 1
    return len(text)


def _closes_string(text: str, position: int) -> bool:
    return _next_visible(text, position + 1, 1) in AFTER_STRING


def _next_visible(text: str, position: int, step: int) -> str:
    while 0 <= position < len(text) and text[position].isspace():
        position += step
    # The end of the text counts as a boundary too.
    return text[position] if 0 <= position < len(text) else ""


def _json_string(literal: str) -> str:
    quote = literal[0]
    content = literal[1:-1] if len(literal) > 1 and literal.endswith(quote) else literal[1:]
    if quote == "'":
        content = re.sub(r'(?<!\\)"', r"\"", content.replace("\\'", "'"))
    return f'"{content}"'


def _json_word(word: str, text: str, end: int) -> str:
    if _next_visible(text, end, 1) == ":":
        return f'"{word}"'
    return PYTHON_WORDS.get(word, word)


def _drop_trailing_comma(pieces: list[str]) -> None:
    while pieces and (pieces[-1].isspace() or pieces[-1] == ","):
        if pieces.pop() == ",":
            return
