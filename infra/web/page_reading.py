"""Reads the text of fetched pages, each in a child process that is ended where it takes too long."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from infra.documents.confined_child import confined_child
from infra.documents.errors import DocumentUnreadable
from infra.documents.limits import MIB, Limits
from infra.documents.parsing import parse
from infra.web.errors import PageRefused
from infra.web.fetching import HTML_TYPES, PDF, FetchedPage
from infra.web.page_lines import READY
from models.web_pages import ReadPage

CHILD = "infra.web.page_reader"
PLAIN_TIMEOUT = timedelta(seconds=30)
"""For a child to begin, for each plain text, and to load what finds articles: a busy machine takes long for each."""

ARTICLE_TIMEOUT = timedelta(seconds=5)
"""For each article: that of a page full of links can take minutes."""

CHILD_LIMITS = Limits(memory_bytes=1024 * MIB, cpu_seconds=60, output_bytes=64 * MIB)
DOCUMENT_LIMITS = Limits(cpu_seconds=20, wall_seconds=30, output_bytes=8 * MIB)
NO_TEXT = "The page has no text that can be read."


class _Plain(BaseModel):
    title: str
    text: str
    links: list[str]


_LINE: TypeAdapter[tuple[int, _Plain | str | None]] = TypeAdapter(tuple[int, _Plain | str | None])


class PageReader:
    """Reads so many batches of pages at a time, each in a process."""

    def __init__(self, at_a_time: int) -> None:
        self._slots = asyncio.Semaphore(at_a_time)

    async def read_page(self, page: FetchedPage) -> ReadPage:
        """Raises `PageRefused`."""
        [found] = await self.read_pages([page])
        if found is None:
            raise PageRefused(NO_TEXT)
        return found

    async def read_pages(self, pages: Sequence[FetchedPage]) -> Sequence[ReadPage | None]:
        """None for a page without text. Those in HTML share a process: give only those of one site together."""
        read: dict[int, ReadPage | None] = {}
        in_html = [number for number, page in enumerate(pages) if page.media_type in HTML_TYPES]
        async with self._slots:
            async for number, found in _of_html([pages[number] for number in in_html]):
                read[in_html[number]] = found
            for number, page in enumerate(pages):
                if page.media_type not in HTML_TYPES:
                    read[number] = await _document(page)
        return [_with_text(read.get(number)) for number in range(len(pages))]


def _with_text(page: ReadPage | None) -> ReadPage | None:
    return page if page and page.text.strip() else None


async def _document(page: FetchedPage) -> ReadPage | None:
    async def content() -> AsyncIterator[bytes]:
        yield page.content

    try:
        document = await parse(content(), "page.pdf" if page.media_type == PDF else "page.txt", DOCUMENT_LIMITS)
    except DocumentUnreadable:
        return None
    text = "\n\n".join(each.text for each in document.pages)
    return ReadPage(page.url.rstrip("/").rpartition("/")[2] or page.url, text)


async def _of_html(pages: Sequence[FetchedPage]) -> AsyncGenerator[tuple[int, ReadPage], None]:
    """The pages that have been read, by their numbers. One that a child does not survive has its plain text, if any."""
    plain: dict[int, _Plain] = {}
    articles: dict[int, str | None] = {}
    waiting = list(range(len(pages)))
    while waiting:
        said = [line async for line in _said_by_child([pages[each] for each in waiting])]
        texts, of_articles = said[: len(waiting)], said[len(waiting) + 1 :]
        plain |= {each: text for each, text in zip(waiting, texts, strict=False) if isinstance(text, _Plain)}
        articles |= {each: text if isinstance(text, str) else None for each, text in zip(waiting, of_articles)}  # noqa: B905
        if len(said) == len(waiting):
            # The child was not ready for any article, and another one would not be either.
            break
        fatal = len(of_articles) if len(said) > len(waiting) else len(said)
        waiting = [each for place, each in enumerate(waiting) if place != fatal and each not in articles]
    for number, page in plain.items():
        yield number, ReadPage(page.title, articles.get(number) or page.text, page.links)


async def _said_by_child(pages: Sequence[FetchedPage]) -> AsyncGenerator[_Plain | str | None, None]:
    """The plain texts of all pages, that it is ready, and their articles: until it is too slow, or dies."""
    folder = await asyncio.to_thread(TemporaryDirectory, prefix="holdfast-pages-")
    try:
        files = [_stored(Path(folder.name), number, page) for number, page in enumerate(pages)]
        arguments = [json.dumps(asdict(CHILD_LIMITS)), json.dumps(files)]
        async with confined_child(CHILD, arguments, Path(folder.name)) as child:
            for place, number in enumerate([*range(len(pages)), READY, *range(len(pages))]):
                line = await _line(child, ARTICLE_TIMEOUT if place > len(pages) else PLAIN_TIMEOUT)
                if line is None or line[0] != number:
                    return
                yield line[1]
    finally:
        await asyncio.shield(asyncio.to_thread(folder.cleanup))


def _stored(folder: Path, number: int, page: FetchedPage) -> list[Any]:
    path = folder / str(number)
    path.write_bytes(page.content)
    return [str(path), page.url, page.charset]


async def _line(child: asyncio.subprocess.Process, limit: timedelta) -> tuple[int, _Plain | str | None] | None:
    """None: the child is too slow, has ended, or says what no reader would."""
    if child.stdout is None:
        return None
    try:
        async with asyncio.timeout(limit.total_seconds()):
            return _LINE.validate_json(await child.stdout.readline())
    except (TimeoutError, ValidationError, ValueError):
        return None
