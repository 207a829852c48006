"""Decodes text of any encoding: by its byte order mark, as UTF-8, as UTF-16 without a mark, else by detection."""

import codecs
import re

from infra.documents.errors import UnsupportedFile

# Those of UTF-32 first: they begin with those of UTF-16.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
DETECTED_BYTES = 64 * 1024
"""Detection is slow, and the beginning of a file has the encoding of the rest."""
MAX_CONTROL_SHARE = 0.02
MAX_STRAY_NUL_SHARE = 0.01
CONTROL = re.compile("[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]")
MOST_COMMON = "cp1252"


def decode(content: bytes) -> str:
    """The text with Unix line ends and without a mark. Raises `UnsupportedFile` for what is no text."""
    text = _decoded(content).replace("\r\n", "\n").replace("\r", "\n")
    sample = text[:DETECTED_BYTES]
    if len(CONTROL.findall(sample)) > len(sample) * MAX_CONTROL_SHARE:
        raise UnsupportedFile.binary()
    # No database takes it.
    return text.replace("\0", "")


def _decoded(content: bytes) -> str:
    for mark, encoding in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace")
    if b"\0" in content[:DETECTED_BYTES]:
        return _wide(content)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode(_detected(content[:DETECTED_BYTES]), "replace")


def _detected(sample: bytes) -> str:
    # Most text is UTF-8, and its child starts sooner without it.
    from charset_normalizer import from_bytes

    matches = from_bytes(sample)
    best = matches.best()
    if best is None:
        return MOST_COMMON
    # A short text of Western Europe is as likely in the code pages of its neighbours.
    equals = (each for each in matches if each.chaos <= best.chaos and each.coherence >= best.coherence)
    return MOST_COMMON if any(MOST_COMMON in each.could_be_from_charset for each in equals) else best.encoding


def _wide(content: bytes) -> str:
    """Text of two bytes a character has the zeros of its ASCII characters, blanks among them, on one side only."""
    sample = content[:DETECTED_BYTES]
    first, second = sample[::2].count(0), sample[1::2].count(0)
    if min(first, second) > max(first, second) * MAX_STRAY_NUL_SHARE:
        raise UnsupportedFile.binary()
    try:
        return content.decode("utf-16-be" if first > second else "utf-16-le")
    except UnicodeDecodeError as error:
        raise UnsupportedFile.binary() from error
