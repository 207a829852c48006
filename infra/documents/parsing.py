"""Reads the text of a file that anyone may have made: in a confined child process, one for each file."""

import asyncio
import json
import signal
from collections.abc import AsyncIterable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import TypeAdapter, ValidationError

from infra.documents.confined_child import confined_child
from infra.documents.errors import DocumentTooLarge, DocumentUnreadable, InvalidFile, NoTextFound, UnsupportedFile
from infra.documents.limits import MIB, Limits
from models.documents import Document, Page

CHILD = "infra.documents.confined_reader"
READ_BYTES = 256 * 1024
REPORTED = {error.__name__: error for error in (UnsupportedFile, InvalidFile, DocumentTooLarge)}
DEFAULT_LIMITS = Limits()

_PAGES: TypeAdapter[list[tuple[int | None, str]]] = TypeAdapter(list[tuple[int | None, str]])
_ERROR: TypeAdapter[tuple[str, str]] = TypeAdapter(tuple[str, str])


async def parse(content: AsyncIterable[bytes], filename: str, limits: Limits = DEFAULT_LIMITS) -> Document:
    """The text of a file, of the format that `filename` says. Raises a `DocumentUnreadable`, and what `content` raises.

    Cancelling kills the child.
    """
    folder = await asyncio.to_thread(TemporaryDirectory, prefix="holdfast-document-")
    try:
        path = Path(folder.name) / "document"
        await _store(content, path)
        pages = _pages_of(await _read_in_child(path, filename, limits))
    finally:
        await asyncio.shield(asyncio.to_thread(folder.cleanup))
    if not any(page.text.strip() for page in pages):
        raise NoTextFound
    return Document(pages)


async def _store(content: AsyncIterable[bytes], path: Path) -> None:
    with path.open("wb") as file:
        async for chunk in content:
            await asyncio.to_thread(file.write, chunk)


async def _read_in_child(path: Path, filename: str, limits: Limits) -> bytes:
    # No file's name is longer where it matters, and a system refuses arguments without bound.
    arguments = [str(path), filename[-255:], json.dumps(asdict(limits))]
    async with confined_child(CHILD, arguments, path.parent) as child:
        try:
            async with asyncio.timeout(limits.wall_seconds):
                answer = await _output(child, limits)
                await child.wait()
        except TimeoutError:
            raise DocumentTooLarge.because("it takes too long to read") from None
    if child.returncode != 0:
        raise _death(child.returncode)
    return answer


async def _output(child: asyncio.subprocess.Process, limits: Limits) -> bytes:
    output = bytearray()
    while child.stdout is not None and (chunk := await child.stdout.read(READ_BYTES)):
        output += chunk
        if len(output) > limits.output_bytes:
            raise DocumentTooLarge.because(f"it has more than {limits.output_bytes // MIB} MiB of text")
    return bytes(output)


def _death(returncode: int | None) -> DocumentUnreadable:
    if returncode == -signal.SIGXCPU:
        return DocumentTooLarge.because("it takes too long to read")
    if returncode == -signal.SIGKILL:
        return DocumentTooLarge.because("it needs too much memory or time")
    return InvalidFile.damaged()


def _pages_of(answer: bytes) -> list[Page]:
    """The child read a hostile file: what it says is checked like what any client says."""
    try:
        said: Any = json.loads(answer)
        if "error" in said:
            name, message = _ERROR.validate_python(said["error"])
            raise REPORTED[name](message)
        return [Page(number, text) for number, text in _PAGES.validate_python(said["pages"])]
    except (ValueError, TypeError, KeyError, ValidationError) as error:
        raise InvalidFile.damaged() from error
