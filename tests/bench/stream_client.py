"""Reads streams at minimal cost, so that a client's own work is not counted as the server's."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

READ_BYTES = 65_536
DELTA = re.compile(rb'"(?:value|content)": ?"(\d+):(\d+) "')


class StreamWrong(Exception):
    """A stream lost, repeated or reordered a chunk of the model."""


@dataclass
class Received:
    """Arrival times of the model's chunks, and their delays since they were sent, in nanoseconds."""

    at: list[int] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)

    def add(self, line: bytes, now: int) -> None:
        for number, stamp in DELTA.findall(line):
            if int(number) != len(self.at):
                raise StreamWrong(f"chunk {int(number)} came where {len(self.at)} was due")
            self.at.append(now)
            self.delays.append(now - int(stamp))


async def read_stream(url: str, body: dict[str, Any], chunks: int) -> Received:
    """POST `body` and read the stream. Raises `StreamWrong` unless it has `chunks` chunks in order."""
    received = Received()
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(_request(parts.path, parts.netloc, body))
        unread = b""
        while data := await reader.read(READ_BYTES):
            now = time.time_ns()
            *lines, unread = (unread + data).split(b"\n")
            for line in _lines_of_deltas(lines):
                received.add(line, now)
    finally:
        writer.close()
    if len(received.at) != chunks:
        raise StreamWrong(f"{len(received.at)} chunks of {chunks} came")
    return received


def _request(path: str, host: str, body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    headers = [f"POST {path} HTTP/1.1", f"host: {host}", "content-type: application/json", "connection: close"]
    return "\r\n".join([*headers, f"content-length: {len(content)}", "", ""]).encode() + content


def _lines_of_deltas(lines: list[bytes]) -> Iterator[bytes]:
    # By their data, as the name of an event may be in an earlier read.
    for line in lines:
        if line.startswith(b"data: ") and (b"chat.completion.chunk" in line or b"thread.message.delta" in line):
            yield line
