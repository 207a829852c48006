"""The text after `Final Answer:`, as it streams in."""

import re

_EMPHASIS = re.compile(r"^[\s>#]*([*_`]*).*?([*_`]*)[ \t]*\d*[ \t]*:$", re.DOTALL)


class FinalAnswer:
    def __init__(self, marker: str) -> None:
        """`marker` is its introduction: emphasis that it opens is closed in the text, as in `**…:** text`."""
        match = _EMPHASIS.match(marker)
        self._closing = match[1] if match and not match[2] else ""
        self._head = ""
        self._has_begun = False

    def feed(self, text: str) -> str:
        """The part of `text` that belongs to the answer: all but the space and emphasis before its first word."""
        if self._has_begun:
            return text
        self._head += text
        if self._closing.startswith(self._head):
            return ""
        said = self._head.removeprefix(self._closing).lstrip()
        self._has_begun = bool(said)
        return said
