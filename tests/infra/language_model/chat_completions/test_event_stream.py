from itertools import product

import pytest

from infra.language_model.chat_completions.event_stream import (
    MAX_DOCUMENT_BYTES,
    MAX_EVENT_BYTES,
    DocumentTooLong,
    EventReader,
    EventTooLong,
)

SEPARATORS = "a\u2028b\u2029c\x0bd\x0ce\x85f\x1cg"

STREAMS: dict[str, tuple[str, list[str]]] = {
    "two events": ("data: a\n\ndata: b\n\n", ["a", "b"]),
    "CRLF": ("data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
    "CR": ("data: a\r\rdata: b\r\r", ["a", "b"]),
    "line ends by turns": ("data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", ["a", "b", "c"]),
    "several lines": ("data: a\ndata: b\n\n", ["a\nb"]),
    "no space": ("data:a\n\ndata:  b\n\n", ["a", " b"]),
    "comments and fields": (": ping\n\nevent: x\nid: 1\nretry: 3\ndata: a\n\n: pong\n", ["a"]),
    "no data": ("event: x\n\n\n\ndata\n\n", [""]),
    "a byte order mark": ("\ufeffdata: a\n\ndata: \ufeffb\n\n", ["a", "\ufeffb"]),
    "separators that are text": (
        "data: a\u2028b\u2029c\x0bd\x0ce\x85f\x1cg\n\n",
        ["a\u2028b\u2029c\x0bd\x0ce\x85f\x1cg"],
    ),
    "no blank line at the end": ("data: a\n\ndata: b", ["a", "b"]),
    "one line end at the end": ("data: a\n", ["a"]),
    "nothing": ("", []),
}


def read(*pieces: bytes) -> list[str]:
    reader = EventReader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    return [event.decode() for event in [*events, *reader.end()]]


@pytest.mark.parametrize(("stream", "events"), STREAMS.values(), ids=STREAMS)
def test_event_data_does_not_depend_on_chunk_boundaries(stream: str, events: list[str]) -> None:
    data = stream.encode()
    cuts = range(len(data) + 1)

    assert read(data) == events
    assert read(*(data[index : index + 1] for index in range(len(data)))) == events
    for first, second in product(cuts, cuts):
        if first <= second:
            assert read(data[:first], b"", data[first:second], data[second:]) == events


@pytest.mark.parametrize("data", [b'{"a": 1}', b'[{"a": 1}]', b' \n\n{\n"a":\n\n1}\n\n'])
def test_document_in_place_of_events_is_one_event(data: bytes) -> None:
    for cut in range(len(data)):
        [event] = read(data[:cut], data[cut:])
        assert event.strip() == data.decode().strip()


def test_event_is_yielded_at_its_blank_line() -> None:
    reader = EventReader()

    assert list(reader.feed(b"data: a\n\nda")) == [b"a"]
    assert list(reader.feed(b"ta: b\n")) == []
    assert list(reader.feed(b"\n")) == [b"b"]


@pytest.mark.parametrize(
    ("piece", "limit", "error"),
    [
        (b"{" * 65_536, MAX_DOCUMENT_BYTES, DocumentTooLong),
        (b"x" * 65_536, MAX_EVENT_BYTES, EventTooLong),
        (b"data: " + b"x" * 65_536 + b"\n", MAX_EVENT_BYTES, EventTooLong),
    ],
    ids=["document", "line", "lines"],
)
def test_endless_event_is_not_buffered(piece: bytes, limit: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(*[piece] * (limit // 65_536 + 2))
