"""Finds the links to files of the code interpreter in the text of an answer while it arrives."""

import re
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import quote

from models.answers import AnswerDelta, PieceMender
from models.language_model import TextDelta
from models.messages import FileCitation, FilePath, FilePathSource, UrlCitation

PREFIX = "sandbox:/mnt/data/"

# The name goes on: it is that of another file. What may end a sentence as well does so before a letter alone.
_GOES_ON = re.compile(r"[A-Za-z0-9_/%]|[.+~@-][A-Za-z0-9_]")
_MAY_GO_ON = ("", ".", "+", "~", "@", "-")


class LinkedText:
    """Separates the text of one answer into words and links to known files, however it is cut into pieces.

    The text stays as it is: the concatenation of words and the `text` of annotations. No part of a link is returned
    before the link is complete. All links to one file have the same file id; other names are no links.
    """

    def __init__(self, names: Iterable[str], new_file_id: Callable[[], str]) -> None:
        """`names` are paths within /mnt/data."""
        spelled = {spelling: name for name in names for spelling in (name, quote(name))}
        # The longest first: a name may begin with another one.
        self._spelled = sorted(spelled.items(), key=lambda each: len(each[0]), reverse=True)
        self._new_file_id = new_file_id
        self._mender = PieceMender()
        self._held = ""
        self._length = 0
        self.file_ids: dict[str, str] = {}
        """Of the files that have a link, by name."""

    def link(self, delta: AnswerDelta) -> Sequence[AnswerDelta]:
        """The delta with its links separated. Any delta but text ends a link that is not complete."""
        if isinstance(delta, TextDelta):
            return self._deltas(self._held + self._mender.mend(delta.text))
        rest = self._deltas(self._held + self._mender.rest(), is_last=True)
        self._length += len(delta.text) if isinstance(delta, FileCitation | UrlCitation) else 0
        return [*rest, delta]

    def _deltas(self, text: str, is_last: bool = False) -> Sequence[AnswerDelta]:
        deltas: list[AnswerDelta] = []
        begin = at = 0
        while (start := text.find(PREFIX, at)) >= 0:
            at = start + len(PREFIX)
            found = self._name(text[at:], is_last)
            if found is None:
                deltas += self._words(text[begin:start])
                self._held = text[start:]
                return deltas
            if found:
                deltas += [*self._words(text[begin:start]), self._link(text[start : at + len(found)], found)]
                begin = at = at + len(found)
        kept = 0 if is_last else _begun(text[at:])
        self._held = text[len(text) - kept :]
        return [*deltas, *self._words(text[begin : len(text) - kept])]

    def _name(self, text: str, is_last: bool) -> str | None:
        """The spelling of a known name that `text` begins with; empty if there is none, None if it is not decided."""
        for spelling, _ in self._spelled:
            if not is_last and spelling.startswith(text):
                return None
            if text.startswith(spelling) and not _GOES_ON.match(text, len(spelling)):
                after = text[len(spelling) : len(spelling) + 2]
                return None if after in _MAY_GO_ON and not is_last else spelling
        return ""

    def _link(self, text: str, spelling: str) -> FilePath:
        name = next(name for spelled, name in self._spelled if spelled == spelling)
        if name not in self.file_ids:
            self.file_ids[name] = self._new_file_id()
        start, self._length = self._length, self._length + len(text)
        source = FilePathSource(file_id=self.file_ids[name])
        return FilePath(type="file_path", text=text, start_index=start, end_index=self._length, file_path=source)

    def _words(self, words: str) -> Sequence[TextDelta]:
        self._length += len(words)
        return [TextDelta(words)] if words else []


def _begun(text: str) -> int:
    """How many characters at the end of the text may begin a link."""
    longest = min(len(text), len(PREFIX) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(PREFIX[:size])), 0)
