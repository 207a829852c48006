"""The text of a cell as it comes, kept to a bound: its head at once, and its tail when the cell has ended."""

import codecs


class BoundedText:
    """Passes on the first half of `limit` bytes and keeps the last half; between them it says how much is left out."""

    def __init__(self, limit: int) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._head_left = limit // 2
        self._tail_size = limit // 2
        self._tail = bytearray()
        self.left_out = 0

    def add(self, content: bytes) -> str:
        """The part of `content` that can be shown now."""
        head = content[: self._head_left]
        self._head_left -= len(head)
        self._tail += content[len(head) :]
        if (excess := len(self._tail) - self._tail_size) > 0:
            self.left_out += excess
            del self._tail[:excess]
        return self._decoder.decode(head)

    def end(self) -> str:
        """The rest."""
        if not self.left_out:
            return self._decoder.decode(bytes(self._tail), final=True)
        head = self._decoder.decode(b"", final=True)
        tail = self._tail.decode("utf-8", "replace").lstrip("\ufffd")
        return f"{head}\n[… {self.left_out:,} bytes of output are left out …]\n{tail}"
