"""Fetches pages that a model or a client names, from the public web only, and never more than is bounded here."""

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpcore2
import httpx2

from infra.web.errors import PageRefused, PageUnavailable
from infra.web.network import CheckedNetwork
from models.web_hosts import MAX_URL_LENGTH

AGENT = "Holdfast"
"""By which sites name this program in their robots.txt."""

MIB = 1024 * 1024
PDF = "application/pdf"
HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
TEXT_TYPES = frozenset(
    {"text/plain", "text/markdown", "text/csv", "application/json", "application/ld+json", "application/xml"}
    | {"text/xml", "application/rss+xml", "application/atom+xml"}
)
PLAIN_ENCODINGS = frozenset({"", "identity"})
GZIP_ENCODINGS = frozenset({"gzip", "x-gzip"})
# Of a zlib stream: with a header of gzip or its own.
ANY_HEADER = 47


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Of one page, all redirects together. Bytes count after decompression; a longer text is cut."""

    text_bytes: int = MIB
    pdf_bytes: int = 10 * MIB
    total_seconds: float = 20
    idle_seconds: float = 8
    redirects: int = 5


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """`url` is where redirects led; `charset` what the server said, if it did."""

    url: str
    media_type: str
    charset: str | None
    content: bytes
    is_cut: bool = False


DEFAULT_LIMITS = FetchLimits()
Check = Callable[[str], Awaitable[None]]
"""Asked for each URL before it is fetched, those of redirects as well. Raises `PageRefused`."""


Count = Callable[[int], None]
"""Called with the size of each piece of a page, after decompression if that is more. May raise `PageRefused`."""


async def _anything(url: str) -> None:
    pass


def uncounted(size: int) -> None:
    pass


@asynccontextmanager
async def open_fetcher(network: CheckedNetwork, limits: FetchLimits = DEFAULT_LIMITS) -> AsyncIterator["PageFetcher"]:
    """Ignores the environment's proxies, and keeps no cookies."""
    transport = httpx2.AsyncHTTPTransport(verify=_certificates(), trust_env=False)
    # The transport has no parameter for it. A test fails where this is without effect.
    transport._pool = httpcore2.AsyncConnectionPool(
        ssl_context=_certificates(),
        max_connections=50,
        max_keepalive_connections=0,
        network_backend=network,
    )
    async with httpx2.AsyncClient(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        timeout=httpx2.Timeout(limits.idle_seconds, connect=limits.idle_seconds / 2),
        headers={"accept-encoding": "gzip", "user-agent": f"{AGENT} (web_retrieval)"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    ) as client:
        yield PageFetcher(client, limits)


@cache
def _certificates() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


class PageFetcher:
    def __init__(self, client: httpx2.AsyncClient, limits: FetchLimits) -> None:
        self._client = client
        self._limits = limits

    async def fetch(
        self, url: str, check: Check = _anything, count: Count = uncounted, text_bytes: int | None = None
    ) -> FetchedPage:
        """The page at a URL; with `text_bytes`, so many bytes of it, as text whatever its media type is.

        Raises a `PageNotRead`, and what `check` and `count` raise.
        """
        try:
            async with asyncio.timeout(self._limits.total_seconds):
                return await self._follow(url, check, count, text_bytes)
        except TimeoutError:
            raise PageUnavailable("The page took too long.") from None
        except httpx2.InvalidURL:
            raise PageRefused("That is not a URL.") from None
        except httpx2.TransportError as error:
            raise PageUnavailable(f"The site did not answer: {type(error).__name__}.") from error

    async def _follow(self, url: str, check: Check, count: Count, text_bytes: int | None) -> FetchedPage:
        for _ in range(self._limits.redirects + 1):
            target = _checked(url)
            await check(str(target))
            async with self._client.stream("GET", target) as response:
                if not response.has_redirect_location:
                    return await self._read(response, count, text_bytes)
                url = str(target.join(response.headers["location"]))
        raise PageRefused("The page redirects too often.")

    async def _read(self, response: httpx2.Response, count: Count, text_bytes: int | None) -> FetchedPage:
        if response.status_code != httpx2.codes.OK:
            raise PageUnavailable(f"The site answered with status {response.status_code}.", response.status_code)
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if text_bytes is not None:
            media_type = "text/plain"
        if media_type not in HTML_TYPES | TEXT_TYPES | {PDF}:
            raise PageRefused("The page is neither text nor PDF.")
        most = self._limits.pdf_bytes if media_type == PDF else text_bytes or self._limits.text_bytes
        content = await _body(response, most + 1, count)
        is_cut = len(content) > most
        if is_cut and media_type == PDF:
            raise PageRefused(f"The PDF has more than {most // MIB} MiB.")
        return FetchedPage(str(response.url), media_type, response.charset_encoding, content[:most], is_cut)


def _checked(url: str) -> httpx2.URL:
    if len(url) > MAX_URL_LENGTH:
        raise PageRefused("The URL is too long.")
    target = httpx2.URL(url)
    if target.scheme not in ("http", "https") or not target.host:
        raise PageRefused("Only http:// and https:// are fetched.")
    if target.userinfo:
        raise PageRefused("A URL with a user's name is not fetched.")
    return target.copy_with(fragment=None)


async def _body(response: httpx2.Response, most: int, count: Count) -> bytes:
    """The first `most` bytes after decompression, of as many that were sent."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in PLAIN_ENCODINGS | GZIP_ENCODINGS:
        raise PageUnavailable("The page is compressed in a way that was not asked for.")
    unpacking = zlib.decompressobj(ANY_HEADER) if encoding in GZIP_ENCODINGS else None
    body, received = bytearray(), 0
    async for piece in response.aiter_raw():
        received += len(piece)
        unpacked = _unpacked(unpacking, piece, most - len(body)) if unpacking else piece
        count(max(len(piece), len(unpacked)))
        body += unpacked
        if len(body) >= most or received >= most:
            break
    return bytes(body[:most])


def _unpacked(unpacking: "zlib._Decompress", piece: bytes, most: int) -> bytes:
    try:
        return unpacking.decompress(piece, most)
    except zlib.error:
        raise PageUnavailable("The page's compression is damaged.") from None
