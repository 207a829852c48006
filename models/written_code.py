"""The code in the arguments of a call of the code interpreter, read while the model writes it.

Models are asked for `{"code": "…"}`. Some write the code as it is, other names, or a JSON string.
"""

import json
import re
from enum import Enum

from models.answers import ArgumentsMender, PieceMender, storable

# The code of a call that begins otherwise is known at its end. Longer than any white space that models write.
_MAX_OPENING = 200
_BLANK = r"[ \t\r\n]*"
_OPENING = re.compile(rf'{_BLANK}\{{{_BLANK}"code"{_BLANK}:{_BLANK}"')
_BEGUN = re.compile(rf'{_BLANK}(?:\{{{_BLANK}(?:"(?:c(?:o(?:d(?:e(?:"{_BLANK}(?::{_BLANK})?)?)?)?)?)?)?)?')
_HEX = "[0-9a-fA-F]"
# No part of it can be read in two ways: so the time is proportional to the length.
_DECODABLE = re.compile(rf'(?:[^"\\]+|\\u{_HEX}{{4}}|\\[^u]|\\u(?={_HEX}{{0,3}}[^0-9a-fA-F]))*+', re.DOTALL)
_ESCAPE = re.compile(rf'(\\["\\/bfnrt]|\\u{_HEX}{{4}})|\\')
_FENCED = re.compile(r"\s*```[\w+-]*\n(.*?)\n?```\s*", re.DOTALL)


class _Form(Enum):
    UNDECIDED = "undecided"
    STRING = "string"
    """Within the text of `code`."""
    ENDED = "ended"
    """After it: the rest is ignored."""
    BARE = "bare"
    """The arguments are the code."""
    WHOLE = "whole"
    """Known at the end alone."""


class CodeReader:
    """Reads the code out of the pieces of the arguments, however they are cut.

    The concatenation of what `mend` and `rest` return is `code_of` all pieces.
    """

    def __init__(self) -> None:
        self._arguments = ArgumentsMender()
        self._code = PieceMender()
        self._form = _Form.UNDECIDED
        self._held = ""
        self._pieces: list[str] = []

    @property
    def is_broken_off(self) -> bool:
        """Whether the code has no end, once everything was read."""
        return self._form is _Form.STRING

    def mend(self, piece: str) -> str:
        return self._read(self._arguments.mend(piece))

    def rest(self) -> str:
        read = self._read(self._arguments.rest())
        match self._form:
            case _Form.UNDECIDED | _Form.WHOLE:
                return _code_in("".join([*self._pieces, self._held]))
            case _Form.STRING:
                return read + self._code.mend(self._held) + self._code.rest()
        return read + self._code.rest()

    def _read(self, text: str) -> str:
        if self._form is _Form.UNDECIDED and text:
            text = self._open(self._held + text)
        match self._form:
            case _Form.STRING:
                return self._decode(self._held + text)
            case _Form.BARE:
                return self._code.mend(text)
            case _Form.WHOLE:
                self._pieces.append(text)
        return ""

    def _open(self, text: str) -> str:
        """Decide about the form. Returns the text after the opening of its code."""
        self._held = ""
        if opening := _OPENING.match(text, 0, _MAX_OPENING):
            self._form = _Form.STRING
            return text[opening.end() :]
        if len(text) < _MAX_OPENING and _BEGUN.fullmatch(text):
            self._held = text
            return ""
        self._form = _Form.WHOLE if text.lstrip(" \t\r\n")[:1] in '{"' else _Form.BARE
        return text

    def _decode(self, text: str) -> str:
        end = _DECODABLE.match(text).end()  # type: ignore[union-attr]
        # An escape that is not complete is some characters long.
        self._held = text[end:]
        if text[end : end + 1] == '"':
            self._form, self._held = _Form.ENDED, ""
        return self._code.mend(_decoded(text[:end]))


def code_of(arguments: str) -> str:
    """The code in the arguments of a call, as streams show it; empty if they have none."""
    reader = CodeReader()
    return reader.mend(arguments) + reader.rest()


def runnable_code(arguments: str) -> str | None:
    """The code to run, without the fence that models write around it. None: there is none, or it is broken off."""
    reader = CodeReader()
    code = reader.mend(arguments) + reader.rest()
    if reader.is_broken_off or not code.strip():
        return None
    fenced = _FENCED.fullmatch(code)
    return fenced[1] if fenced else code


def _decoded(text: str) -> str:
    """The text of a JSON string. Escapes that JSON lacks stay as they are."""
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return str(json.loads('"{}"'.format(_ESCAPE.sub(lambda found: found[1] or r"\\", text)), strict=False))


def _code_in(arguments: str) -> str:
    try:
        given = json.loads(arguments, strict=False)
    except (ValueError, RecursionError):
        return arguments
    if isinstance(given, dict):
        texts = [value for value in given.values() if isinstance(value, str)]
        given = given.get("code", texts[0] if len(texts) == 1 else "")
    return storable(given) if isinstance(given, str) else ""
