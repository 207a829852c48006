import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from infra.documents import confined_child
from infra.web import page_reading
from infra.web.errors import PageRefused
from infra.web.fetching import FetchedPage
from infra.web.page_reading import PageReader
from models.web_pages import ReadPage
from tests.infra.documents import files

pytestmark = pytest.mark.any_database

READER = PageReader(2)
SENTENCE = "Employees get twenty-five days of paid vacation each year, and ask for them in writing. "
ARTICLE = f"""<html><head><title>Leave &amp; pay</title></head><body>
<nav><a href="/">Home</a> <a href="/imprint">Imprint</a></nav>
<article><h1>Leave</h1><p>{SENTENCE * 4}</p><p>{SENTENCE * 3}</p>
<p>See <a href="pay.html#top">pay</a>, <a href="https://other.example/x">there</a>, <a href="mailto:a@b">mail</a>,
<a href="/hidden" rel="nofollow">not this</a>.</p></article>
<footer>Cookies, imprint, privacy</footer><script>alert(1)</script></body></html>"""
LINKS = "".join(f"<div><a href='/p{number}'>Page <b>{number}</b></a> <i>x</i></div>" for number in range(30_000))


def page(content: bytes | str, media_type: str = "text/html", charset: str | None = None) -> FetchedPage:
    encoded = content.encode() if isinstance(content, str) else content
    return FetchedPage("https://site.example/docs/leave.html", media_type, charset, encoded)


async def test_article_is_read_without_what_surrounds_it() -> None:
    found = await READER.read_page(page(ARTICLE))

    assert found.title == "Leave & pay"
    assert "twenty-five days" in found.text
    assert "# Leave" in found.text
    assert not {"Imprint", "Cookies", "alert"} & set(found.text.replace(",", " ").split())


async def test_links_are_absolute_and_only_of_the_web() -> None:
    found = await READER.read_page(page(ARTICLE))

    assert found.links == [
        "https://site.example/",
        "https://site.example/imprint",
        "https://site.example/docs/pay.html",
        "https://other.example/x",
    ]


async def test_links_follow_the_base_of_the_page() -> None:
    found = await READER.read_page(page("<base href='/v2/'><p>Text</p><a href='a'>a</a><a href='http://[x'>bad</a>"))

    assert found.links == ["https://site.example/v2/a"]


async def test_page_is_decoded_by_what_it_says() -> None:
    text = "<p>Größe 25 €</p>"
    pages = await READER.read_pages(
        [
            page(text.encode("cp1252"), charset="windows-1252"),
            page(f"<meta charset=cp1252>{text}".encode("cp1252")),
            page(f"<meta charset=utf-8>{text}".encode("cp1252"), charset="windows-1252"),
            page(text, charset="no-such-charset"),
            page(text.encode("utf-16")),
        ]
    )

    assert [each and each.text for each in pages] == ["Größe 25 €"] * 5


async def test_bad_html_is_read_as_far_as_it_goes() -> None:
    pages = await READER.read_pages(
        [
            page("<p>Text" + "<div>" * 50_000),
            page("<p>Text</p></div></table><td>"),
            page("Text without any element"),
            page("<p>Text</p>" + "<!--" * 1000),
            page("<p>Te\0xt</p>"),
            page("<?xml version='1.0' encoding='utf-8'?><html><p>Text</p></html>"),
        ]
    )

    assert [each and each.text[:4] for each in pages] == ["Text"] * 6


@pytest.mark.slow
async def test_page_that_takes_too_long_is_read_as_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_reading, "ARTICLE_TIMEOUT", timedelta(seconds=3))

    first, slow, last = await READER.read_pages([page(ARTICLE), page(f"<h1>Slow</h1>{LINKS}"), page(ARTICLE)])

    assert slow is not None
    assert slow.text.startswith("Slow\nPage 0 x\nPage 1 x")
    assert [each.text.startswith("# Leave") for each in (first, last) if each] == [True, True]


async def test_page_without_text_is_refused() -> None:
    empty = ["", "<html></html>", "<script>only()</script>", "\0\1\2"]

    assert await READER.read_pages([page(each) for each in empty]) == [None] * 4
    with pytest.raises(PageRefused):
        await READER.read_page(page(""))


async def test_pdf_and_plain_text_are_read_as_documents() -> None:
    pdf, text, damaged = await READER.read_pages(
        [
            page(files.pdf("First page.", "Second page."), "application/pdf"),
            page("Größe".encode("cp1252"), "text/plain"),
            page(b"%PDF- no", "application/pdf"),
        ]
    )

    assert pdf is not None
    assert pdf.text.split() == ["First", "page.", "Second", "page."]
    assert text == ReadPage("leave.html", "Größe")
    assert damaged is None


@pytest.mark.parametrize("answer", ["", "[7]", '[0, {"title": 1}]', '[9, "x"]', '[0, "x"]'])
async def test_reader_that_was_taken_over_can_say_nothing_else(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confined_child, "BOOT", f"print({answer!r})")

    assert await READER.read_pages([page(ARTICLE)]) == [None]


async def test_cancelling_ends_the_reader() -> None:
    reading = asyncio.create_task(READER.read_page(page(LINKS)))
    await asyncio.sleep(0.1)

    reading.cancel()

    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_no_more_readers_run_at_a_time_than_there_are_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most = 0, 0

    @asynccontextmanager
    async def counted(*about: Any) -> AsyncIterator[Any]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        # Others get their chance.
        for _ in range(100):
            await asyncio.sleep(0)
        async with confined_child.confined_child(*about) as child:
            yield child
        running -= 1

    monkeypatch.setattr(page_reading, "confined_child", counted)
    monkeypatch.setattr(confined_child, "BOOT", "print()")
    reader = PageReader(2)

    await asyncio.gather(*(reader.read_pages([page(ARTICLE)]) for _ in range(5)))

    assert most == 2
