"""Frames from a box are read as what hostile code may have written."""

import asyncio

import pytest

from infra.sandbox.frames import PNG_SIGNATURE, BadFrame, Done, Image, Ready, read_frame
from infra.sandbox.limits import MAX_IMAGE_BYTES

PNG = PNG_SIGNATURE + b"rest"


def framed(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(4, "big") + content


async def read(content: bytes) -> object:
    reader = asyncio.StreamReader()
    reader.feed_data(content)
    reader.feed_eof()
    return await read_frame(reader)


async def test_frames_of_the_kernel_are_read() -> None:
    assert await read(framed(b"R", b"")) == Ready()
    assert await read(framed(b"P", PNG)) == Image(PNG)
    assert await read(framed(b"D", b'{"raised": true, "interrupted": false}')) == Done(True, False)


@pytest.mark.parametrize(
    "content",
    [
        framed(b"?", b""),
        framed(b"R", b"x"),
        framed(b"P", b"<svg>"),
        framed(b"D", b"[]"),
        framed(b"D", b"{"),
        framed(b"D", b"\xff"),
        framed(b"D", b"[" * 1000),
        b"P" + (MAX_IMAGE_BYTES + 1).to_bytes(4, "big"),
        b"D\xff\xff\xff\xff",
    ],
)
async def test_other_frames_are_bad_before_their_content_is_awaited(content: bytes) -> None:
    with pytest.raises(BadFrame):
        await read(content)


async def test_values_of_other_types_count_as_false() -> None:
    assert await read(framed(b"D", b'{"raised": "yes", "interrupted": 1}')) == Done(False, False)


@pytest.mark.parametrize("content", [b"", b"D\0", framed(b"P", PNG)[:-1]])
async def test_cut_frame_is_the_end_of_the_box(content: bytes) -> None:
    with pytest.raises(EOFError):
        await read(content)
