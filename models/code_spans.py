"""Finds the code in Markdown that arrives in pieces: fenced blocks, and spans within a line."""

import re

FENCE_LENGTH = 3
MAX_RUN = 100
"""Longer runs of marks count as of this length."""

MARK = r"`+|~+|\n"
"""What begins and ends code."""

_RUNS = frozenset("`~")
_BEFORE_FENCE = re.compile(r"[ \t>]*")


class CodeSpans:
    """Whether the text so far ends within code.

    A span that is still open at the end of its line was none, unless it began like a fence.
    """

    def __init__(self) -> None:
        # The marks that opened a block or a span, and those that the text ends with: more may follow.
        self._fence = ""
        self._span = ""
        self._run = ""
        self._begins_line = True

    def take(self, piece: str) -> None:
        """Add a `MARK`, or other text without any. A run of the same mark may come in several pieces."""
        if piece[0] != self._run[:1]:
            self._end_run()
        if piece[0] in _RUNS:
            self._run = (self._run + piece)[:MAX_RUN]
        elif piece == "\n":
            self._end_line()
        elif not _BEFORE_FENCE.fullmatch(piece):
            self._begins_line = False

    def is_open(self) -> bool:
        """To be asked only if no mark follows."""
        self._end_run()
        return bool(self._fence or self._span)

    def _end_run(self) -> None:
        run, self._run = self._run, ""
        if not run:
            return
        if self._fence:
            if self._begins_line and run.startswith(self._fence):
                self._fence = ""
        elif self._span:
            if run == self._span:
                self._span = ""
        elif run[0] == "`" or (self._begins_line and len(run) >= FENCE_LENGTH):
            self._span = run
        self._begins_line = False

    def _end_line(self) -> None:
        if len(self._span) >= FENCE_LENGTH:
            self._fence = self._span
        self._span = ""
        self._begins_line = True
