"""JSON bodies that are too large for the event loop: parsed in a thread, in pieces that keep the GIL only briefly.

One call of the parser keeps the GIL to its end, in any thread: 0.3 s for a text of 32 MB, 3 s for an object of a
million keys. So the values of a body are counted first, and each long text is parsed separately.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Request
from pydantic_core import SchemaValidator, core_schema, from_json

from models.errors import BodyTooComplex

Result = TypeVar("Result")

LARGE_BYTES = 64 * 1024
"""Up to this size, no operation on a body takes more than some milliseconds."""

MAX_VALUES = 30_000
"""Per body, where a route has no limit of its own. Validation of so many takes 40 ms at most; the largest real body,
128 tools, has some thousand."""

BYTES_OF_A_VALUE = 64
"""A longer value outside of texts, such as a number of a thousand digits, counts as several."""

MAX_TEXT_BYTES = 8 * 1024 * 1024
LONG_TEXT_BYTES = 64
STEP_BYTES = 1024 * 1024
# The bits of a continuation byte in UTF-8.
CONTINUATION_BITS, CONTINUATION = 0xC0, 0x80
# Begins every string of the outline that stands for a text, and no other.
_MARK = "\0"
_MARK_IN_JSON = b"\\u0000"
_WITHIN_TEXT = re.compile(rb'(?:[^"\\]++|\\u[0-9a-fA-F]{4}|\\[^u])*+')
_SECOND_HALF = re.compile(rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_ANY_TEXT = SchemaValidator(core_schema.str_schema(min_length=0))


def one_at_a_time() -> CapacityLimiter:
    """The limiter of `off_the_loop`: several threads that need the GIL would keep it from the event loop."""
    return CapacityLimiter(1)


async def off_the_loop(request: Request, work: Callable[..., Result], *arguments: Any) -> Result:
    """The result of `work` on the request's body; in a thread if the body is large."""
    if getattr(request.state, "body_bytes", 0) <= LARGE_BYTES:
        return work(*arguments)
    return await to_thread.run_sync(work, *arguments, limiter=request.app.state.large_bodies)


def parse_large(content: bytes, max_values: int = MAX_VALUES) -> Any:
    """The same result as `from_json(content)`.

    Raises `UnicodeDecodeError`, another `ValueError` for invalid JSON, and `BodyTooComplex`.
    """
    _check_unicode(content)
    outline = bytearray()
    texts: list[str] = []
    for piece, is_text in _pieces(content, max_values):
        if not is_text or (len(piece) < LONG_TEXT_BYTES and not piece.startswith(b'"' + _MARK_IN_JSON)):
            outline += piece
        else:
            outline += b'"%b%d"' % (_MARK_IN_JSON, len(texts))
            texts.append(_text(piece))
    return _filled(from_json(bytes(outline), allow_inf_nan=False), texts)


def _check_unicode(content: bytes) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(content), STEP_BYTES):
        decoder.decode(content[start : start + STEP_BYTES], final=start + STEP_BYTES >= len(content))


def _pieces(content: bytes, max_values: int) -> Iterator[tuple[bytes, bool]]:
    """The texts of a body, quoted, and the JSON between them. Raises `BodyTooComplex`, and `ValueError`."""
    values = texts = position = 0
    while (quote := content.find(b'"', position)) >= 0:
        yield (between := content[position:quote]), False
        values += _values_in(between, max_values)
        texts += 1
        # A value has at most one text, and one more as its key.
        if values > max_values or texts > 2 * max_values:
            raise BodyTooComplex.for_values(max_values)
        position = _end_of_text(content, quote + 1)
        yield content[quote:position], True
    if values + _values_in(content[position:], max_values) > max_values:
        raise BodyTooComplex.for_values(max_values)
    yield content[position:], False


def _values_in(between: bytes, max_values: int) -> int:
    if len(between) > BYTES_OF_A_VALUE * max_values:
        return max_values + 1
    counted = between.count(b",") + between.count(b"[") + between.count(b"{")
    return max(counted, len(between) // BYTES_OF_A_VALUE)


def _end_of_text(content: bytes, start: int) -> int:
    position = start
    while (end := _end_of_step(content, position)) > position:
        position = end
        if position - start > MAX_TEXT_BYTES:
            raise BodyTooComplex.for_text(MAX_TEXT_BYTES)
    if content[position : position + 1] != b'"':
        raise ValueError("a text that does not end")
    return position + 1


def _end_of_step(content: bytes, start: int) -> int:
    found = _WITHIN_TEXT.match(content, start, start + STEP_BYTES)
    return found.end() if found else start


def _text(quoted: bytes) -> str:
    text = "".join(_parts_of_text(quoted[1:-1]))
    # Validation counts characters in UTF-8, and a string caches that form: it is made here, text by text, instead of in
    # one call for the whole body.
    _ANY_TEXT.validate_python(text)
    return text


def _parts_of_text(written: bytes) -> Iterator[str]:
    start = 0
    while start < len(written):
        end = _between_characters(written, _end_of_step(written, start))
        yield from_json(b'"%b"' % written[start:end])
        start = end


def _between_characters(written: bytes, end: int) -> int:
    """`end`, or the next end of a character, be it in UTF-8 or written as two escapes."""
    while end < len(written) and written[end] & CONTINUATION_BITS == CONTINUATION:
        end += 1
    second_half = _SECOND_HALF.match(written, end)
    return second_half.end() if second_half else end


def _filled(value: Any, texts: list[str]) -> Any:
    match value:
        case str() if value.startswith(_MARK):
            return texts[int(value[len(_MARK) :])]
        case dict():
            return {_filled(key, texts): _filled(item, texts) for key, item in value.items()}
        case list():
            return [_filled(item, texts) for item in value]
        case _:
            return value
