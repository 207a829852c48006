"""Finds the citations in the text of an answer while it arrives, and gives their markers one form."""

import re
from collections.abc import Sequence

from models.answers import AnswerDelta, PieceMender
from models.citations import MAX_QUOTE_LENGTH, Number, Sources, citation
from models.code_spans import MARK, CodeSpans
from models.language_model import ModelDelta, TextDelta
from models.messages import Citation, FileCitation
from models.written_markers import OPENING_BRACKETS, UNDECIDED, Undecided, WrittenMarker, read_marker

MAX_QUOTED_CHARACTERS = 200_000
"""Of all quotes of a message: later ones are cut. A model may repeat one marker thousands of times."""

_BRACKETS = re.escape("".join(sorted(OPENING_BRACKETS)))
_PIECE = re.compile(rf"{MARK}|[{_BRACKETS}]|[^`~\n{_BRACKETS}]+")
_INDEXED = re.compile(r"[\w\])]")


class CitedText:
    """Separates the text of one answer into words and citations, however it is cut into pieces.

    The concatenation of words and the `text` of citations is the text of the message, which the indices of citations
    refer to. No part of a marker is returned before the marker is complete. Markers that lead to no result are dropped;
    in code all markers stay as they are.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._mender = PieceMender()
        self._code = CodeSpans()
        self._held = ""
        # The character before the next one, empty after a marker.
        self._before = ""
        self._length = 0
        self._quotable = MAX_QUOTED_CHARACTERS

    def cite(self, delta: ModelDelta) -> Sequence[AnswerDelta]:
        """The delta with its citations separated. Any delta but text ends a marker that is not complete."""
        if isinstance(delta, TextDelta):
            return self._deltas(self._held + self._mender.mend(delta.text))
        return [*self._deltas(self._held + self._mender.rest(), is_last=True), delta]

    def _deltas(self, text: str, is_last: bool = False) -> Sequence[AnswerDelta]:
        deltas: list[AnswerDelta] = []
        begin = at = 0
        while at < len(text):
            found = self._marker(text, at)
            if found is None or (found is UNDECIDED and is_last):
                at = self._pass(text, at)
            elif isinstance(found, WrittenMarker):
                deltas += self._words(text[begin:at])
                deltas += map(self._citation, self._known(found))
                begin = at = self._pass(text, at, found.end)
            else:
                break
        deltas += self._words(text[begin:at])
        self._held = text[at:]
        return deltas

    def _marker(self, text: str, at: int) -> WrittenMarker | Undecided | None:
        if text[at] not in OPENING_BRACKETS or self._code.is_open():
            return None
        found = read_marker(text, at)
        if not isinstance(found, WrittenMarker) or found.is_certain:
            return found
        return found if self._known(found) and not _INDEXED.match(self._before) else None

    def _known(self, marker: WrittenMarker) -> Sequence[Number]:
        return [number for number in marker.numbers if number in self._sources]

    def _pass(self, text: str, at: int, end: int | None = None) -> int:
        """Pass the marker until `end`, or the piece at a place. Returns the place after it."""
        piece = text[at:end] if end else _PIECE.match(text, at).group()  # type: ignore[union-attr]
        self._code.take(piece)
        self._before = "" if end else piece[-1]
        return at + len(piece)

    def _words(self, words: str) -> Sequence[TextDelta]:
        self._length += len(words)
        return [TextDelta(words)] if words else []

    def _citation(self, number: Number) -> Citation:
        longest = min(MAX_QUOTE_LENGTH, self._quotable)
        made = citation(number, self._sources[number], self._length, longest)
        self._length = made.end_index
        if isinstance(made, FileCitation):
            self._quotable -= len(made.file_citation.quote)
        return made
