"""Reads streams at next to no cost, so that a client's own work is not taken for the server's."""

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
    """A stream lost a chunk of the model's, or brought it twice or out of its order."""


@dataclass
class Received:
    """When each of the model's chunks came, and how long after it was sent, in nanoseconds."""

    at: list[int] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)

    def add(self, line: bytes, now: int) -> None:
        for number, stamp in DELTA.findall(line):
            if int(number) != len(self.at):
                raise StreamWrong(f"chunk {int(number)} came where {len(self.at)} was due")
            self.at.append(now)
            self.delays.append(now - int(stamp))


async def read_stream(url: str, body: dict[str, Any], chunks: int) -> Received:
    """POST `body` and read what is streamed. Raises `StreamWrong` unless it is `chunks` chunks in their order."""
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
    # By their data, as the name of an event may have come with the lines before.
    for line in lines:
        if line.startswith(b"data: ") and (b"chat.completion.chunk" in line or b"thread.message.delta" in line):
            yield line
