"""The markers of citations as models write them: with other brackets, without the file's name, several in one.

`【0:1†a.pdf】`, `【0:1】`, `【0:1†source】`, `[0:1†a.pdf]`, `[0:1]`, `(0:1†a.pdf)`, `【0:1†a.pdf, 0:2†b.pdf】`.
One number with a dagger, `【1†source】`, is a marker without a result. In round brackets a marker has both: `(2:1)` is
the score of a match, and `(1†)` a footnote. `(3:16†)` is certain only with a name: it may be a verse with a footnote. A
name in round brackets may have a pair of them, as `(0:1†report (1).pdf)` has.
"""

import re
from dataclasses import dataclass
from enum import Enum

from models.citations import Number

_ROUND = {"(": ")", "\uff08": "\uff09"}
_BRACKETS = {"【": "】", "[": "]", "〖": "〗", "\uff3b": "\uff3d", **_ROUND}
OPENING_BRACKETS = frozenset(_BRACKETS)
CANONICAL_BRACKET = "【"

# Longer than any that the model is shown. It bounds the text that a stream holds back.
_MAX_LABEL = 256
_DIGITS = r"\d{1,6} ?"
_DAGGER, _COLON = "[†‡]", r"[:\uff1a] ?"
_COMMA, _SEPARATOR = r"[,;、\uff0c\uff1b]", r"[†‡|,;、\uff0c\uff1b]"
_NUMBERS = re.compile(rf"(?:^|{_COMMA}) *(\d{{1,6}}) ?{_COLON}(\d{{1,6}}) ?(?={_SEPARATOR}|$)")


class Undecided(Enum):
    """The text ends before it is decided whether it is a marker."""

    UNDECIDED = "undecided"


UNDECIDED = Undecided.UNDECIDED


@dataclass(frozen=True, slots=True)
class WrittenMarker:
    """A marker that ends before `end`. One that is not certain may be other text: a slice, a ratio, a verse."""

    end: int
    numbers: tuple[Number, ...]
    is_certain: bool


def read_marker(text: str, at: int) -> WrittenMarker | Undecided | None:
    """The marker that begins at an opening bracket, if one does."""
    bracket = text[at]
    if found := _COMPLETE[bracket].match(text, at):
        inside = text[at + 1 : found.end() - 1].strip()
        numbers = tuple((int(turn), int(result)) for turn, result in _NUMBERS.findall(inside))
        dagger = re.search(rf"{_DAGGER} *{'.' if bracket in _ROUND else ''}", inside)
        is_certain = bracket == CANONICAL_BRACKET or dagger is not None
        return WrittenMarker(found.end(), numbers, is_certain)
    return UNDECIDED if _BEGUN[bracket].fullmatch(text, at) else None


def _label(opening: str, closing: str) -> str:
    return rf"[^\n【】{re.escape(opening + closing)}]{{0,{_MAX_LABEL}}}"


def _complete(opening: str, closing: str) -> re.Pattern[str]:
    label = _label(opening, closing)
    number = rf"{_DIGITS}{_COLON}{_DIGITS}(?:{_SEPARATOR}{label})?|{_DIGITS}{_DAGGER}{label}"
    if opening in _ROUND:
        pair = rf"{re.escape(opening)}{label}{re.escape(closing)}"
        number = rf"{_DIGITS}{_COLON}{_DIGITS}{_DAGGER}{label}(?:{pair}{label})?"
    return re.compile(rf"{re.escape(opening)} ?(?:{number}){re.escape(closing)}")


def _begun(opening: str, closing: str) -> re.Pattern[str]:
    label = _label(opening, closing)
    result = rf"(?:{_DIGITS}(?:{_SEPARATOR}{label})?)?"
    if opening in _ROUND:
        pair = rf"{re.escape(opening)}{label}(?:{re.escape(closing)}{label})?"
        named = rf"{_DAGGER}{label}(?:{pair})?"
        return re.compile(rf"{re.escape(opening)} ?(?:{_DIGITS}(?:{_COLON}(?:{_DIGITS}(?:{named})?)?)?)?")
    return re.compile(rf"{re.escape(opening)} ?(?:{_DIGITS}(?:{_DAGGER}{label}|{_COLON}{result})?)?")


_COMPLETE = {opening: _complete(opening, closing) for opening, closing in _BRACKETS.items()}
_BEGUN = {opening: _begun(opening, closing) for opening, closing in _BRACKETS.items()}
