"""Reads server-sent events from bytes. https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from collections.abc import Iterator

MAX_EVENT_BYTES = 16 * 1024 * 1024
MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
"""Of a whole answer: log probabilities, or sound, of several choices."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventTooLong(Exception):
    """An event has more bytes than any piece of an answer."""


class DocumentTooLong(Exception):
    """A whole answer has more bytes than are read. The next one would be as long."""


class EventReader:
    """Finds the data of events in pieces that may be cut anywhere. Other fields and comments are ignored.

    A whole JSON document in place of a stream is one event: the answer of a server that does not stream.
    Lines of bytes end only at the line ends of the format: U+2028 or a form feed in a text is none.
    """

    def __init__(self) -> None:
        self._unfinished: list[bytes] = []
        self._unfinished_bytes = 0
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._may_be_half_a_line_end = False
        self._is_first_line = True
        self._is_document: bool | None = None

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The data of each event that ends in `piece`."""
        if self._is_document is None and (begun := piece.lstrip()):
            # No line of events begins so.
            self._is_document = begun.startswith((b"{", b"["))
        if self._is_document:
            self._retain(piece, MAX_DOCUMENT_BYTES, DocumentTooLong)
            return
        for line in self._lines(piece):
            if line:
                self._read_field(line)
            elif self._data:
                yield b"\n".join(self._data)
                self._data, self._data_bytes = [], 0

    def end(self) -> Iterator[bytes]:
        """The data of an event at the end of the stream: some servers omit the last blank line."""
        if self._is_document:
            yield b"".join(self._unfinished)
            return
        if self._unfinished:
            self._read_field(b"".join(self._unfinished))
        if self._data:
            yield b"\n".join(self._data)

    def _lines(self, piece: bytes) -> Iterator[bytes]:
        if not piece:
            return
        rest = piece.removeprefix(b"\n") if self._may_be_half_a_line_end else piece
        self._may_be_half_a_line_end = piece.endswith(b"\r")
        lines = rest.splitlines(keepends=True)
        for line in lines[:-1]:
            yield self._finished(line)
        if lines and lines[-1].endswith((b"\n", b"\r")):
            yield self._finished(lines[-1])
        elif lines:
            self._retain(lines[-1], MAX_EVENT_BYTES, EventTooLong)

    def _retain(self, piece: bytes, max_bytes: int, too_long: type[Exception]) -> None:
        self._unfinished.append(piece)
        self._unfinished_bytes += len(piece)
        if self._unfinished_bytes > max_bytes:
            raise too_long

    def _finished(self, line: bytes) -> bytes:
        if self._unfinished:
            line = b"".join([*self._unfinished, line])
            self._unfinished, self._unfinished_bytes = [], 0
        if self._is_first_line:
            line, self._is_first_line = line.removeprefix(BYTE_ORDER_MARK), False
        return line.rstrip(b"\r\n")

    def _read_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._data_bytes += len(value)
            if self._data_bytes > MAX_EVENT_BYTES:
                raise EventTooLong
