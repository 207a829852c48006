"""The text after `Final Answer:`, as it streams in."""

import re

_EMPHASIS = re.compile(r"^[\s>#]*([*_`]*).*?([*_`]*)[ \t]*\d*[ \t]*:$", re.DOTALL)


class FinalAnswer:
    def __init__(self, marker: str) -> None:
        """`marker` is what introduced it: emphasis that it leaves open is closed in the text, as in `**…:** text`."""
        match = _EMPHASIS.match(marker)
        self._closing = match[1] if match and not match[2] else ""
        self._head = ""
        self._has_begun = False

    def feed(self, text: str) -> str:
        """What of `text` is part of the answer: all, but for the space and emphasis before its first word."""
        if self._has_begun:
            return text
        self._head += text
        if self._closing.startswith(self._head):
            return ""
        said = self._head.removeprefix(self._closing).lstrip()
        self._has_begun = bool(said)
        return said
