"""Frames from a box, which the code in it can forge: nothing in them is believed beyond its bounds."""

import json
import struct
from asyncio import IncompleteReadError, StreamReader
from dataclasses import dataclass

from infra.sandbox.limits import MAX_IMAGE_BYTES

HEADER = struct.Struct(">cI")
READY, IMAGE, DONE, CELL, INTERRUPT = b"R", b"P", b"D", b"C", b"I"
LARGEST = {READY: 0, IMAGE: MAX_IMAGE_BYTES, DONE: 1024}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class BadFrame(Exception):
    """The box sent what its kernel never sends."""


@dataclass(frozen=True, slots=True)
class Ready:
    pass


@dataclass(frozen=True, slots=True)
class Image:
    png: bytes


@dataclass(frozen=True, slots=True)
class Done:
    raised: bool
    interrupted: bool


Frame = Ready | Image | Done


async def read_frame(reader: StreamReader) -> Frame:
    """The next frame. Raises `BadFrame`, and `EOFError` where the box has ended."""
    try:
        kind, length = HEADER.unpack(await reader.readexactly(HEADER.size))
        if length > LARGEST.get(kind, -1):
            raise BadFrame
        content = await reader.readexactly(length)
    except IncompleteReadError as error:
        raise EOFError from error
    return _parsed(kind, content)


def frame(kind: bytes, content: dict[str, str | int] | int) -> bytes:
    """A frame for the box."""
    encoded = json.dumps(content).encode()
    return HEADER.pack(kind, len(encoded)) + encoded


def _parsed(kind: bytes, content: bytes) -> Frame:
    match kind:
        case b"R":
            return Ready()
        case b"P" if content.startswith(PNG_SIGNATURE):
            return Image(content)
        case b"D":
            return _done(content)
        case _:
            raise BadFrame


def _done(content: bytes) -> Done:
    try:
        ending = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadFrame from error
    if not isinstance(ending, dict):
        raise BadFrame
    return Done(raised=ending.get("raised") is True, interrupted=ending.get("interrupted") is True)
