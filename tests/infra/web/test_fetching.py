"""Fetching on hostile ground: 45 ways to turn it inwards, and pages without end. Only loopback is ever reached."""

import tracemalloc
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.web.addresses import is_public
from infra.web.errors import PageNotRead, PageRefused, PageUnavailable
from infra.web.fetching import FetchLimits, PageFetcher, open_fetcher
from infra.web.network import CheckedNetwork, resolve
from models.web_hosts import PrivateHosts
from tests.infra.web.certificates import certificate_for
from tests.infra.web.hostile_site import MIB, PAGE, HostileSite, running_site

pytestmark = pytest.mark.any_database

PUBLIC = "public.test"
LIMITS = FetchLimits(text_bytes=2 * MIB, total_seconds=1.5, idle_seconds=0.5)
NAMES = {
    PUBLIC: ["127.0.0.1"],
    "impostor.test": ["127.0.0.1"],
    "mixed.test": ["93.184.216.34", "10.0.0.5"],
    "inner.test": ["10.1.2.3"],
    "meta.test": ["169.254.169.254"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "nowhere.test": [],
}


class Names:
    """Resolves the names of the tests, and others as the system does. A name of `answers` changes with each look-up."""

    def __init__(self, answers: dict[str, list[Sequence[str]]] | None = None) -> None:
        self._answers = answers or {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        if host in self._answers:
            return self._answers[host].pop(0)
        return NAMES[host] if host in NAMES else await resolve(host, port)


@pytest.fixture(scope="module")
def public() -> Iterator[HostileSite]:
    with running_site() as site:
        yield site


@pytest.fixture(scope="module")
def private() -> Iterator[HostileSite]:
    with running_site() as site:
        yield site


@pytest.fixture
async def fetcher(public: HostileSite, private: HostileSite) -> AsyncIterator[PageFetcher]:
    """Takes `public.test` for a public host. The ports of the sites count as the web's."""
    private.visits.clear()
    public.visits.clear()
    allowed = PrivateHosts(frozenset({(PUBLIC, public.port)}))
    async with open_fetcher(_OnAnyPort(allowed, Names()), LIMITS) as opened:
        yield opened


class _OnAnyPort(CheckedNetwork):
    """Shows that the address alone is reason enough."""

    async def connect_tcp(self, host: str, port: int, *about: Any, **more: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("infra.web.network.WEB_PORTS", {port})
            return await super().connect_tcp(host, port, *about, **more)


async def test_public_page_is_fetched(fetcher: PageFetcher, public: HostileSite) -> None:
    page = await fetcher.fetch(public.url(PUBLIC))

    assert (page.content, page.media_type, page.charset, page.is_cut) == (PAGE, "text/html", "utf-8", False)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "0.0.0.0",
        "[::]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[2606:4700::5efe:7f00:1]",
        "[fe80::1%25lo]",
        "[fd00::1]",
        "[fec0::1]",
        "[ff02::1]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "100.64.0.1",
        "10.0.0.1",
        "192.168.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "inner.test",
        "meta.test",
        "mixed.test",
        "mapped.test",
        "\uff11\uff12\uff17.\uff10.\uff10.\uff11",
        "127\u30020\u30020\u30021",
    ],
)
async def test_address_inside_is_refused(fetcher: PageFetcher, private: HostileSite, host: str) -> None:
    with pytest.raises(PageRefused):
        await fetcher.fetch(private.url(host))

    assert private.visits == []


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/ok",
        "http://[::ffff:7f00:1]:{port}/ok",
        "//127.0.0.1:{port}/ok",
        "http://inner.test:{port}/ok",
        "file:///etc/passwd",
        "gopher://127.0.0.1:{port}/",
        "http://user:password@public.test:{port}/ok",
    ],
)
async def test_redirect_is_checked_like_any_url(
    fetcher: PageFetcher, public: HostileSite, private: HostileSite, target: str
) -> None:
    with pytest.raises(PageRefused):
        await fetcher.fetch(public.url(PUBLIC, f"/to?{target.format(port=private.port)}"))

    assert (len(public.visits), private.visits) == (1, [])


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://public.test/",
        "gopher://public.test/",
        "javascript:alert(1)",
        "public.test",
        "",
        "http://",
        "http://[::1",
        "http://user:password@public.test/",
        f"http://public.test/{'a' * 2048}",
    ],
)
async def test_what_is_no_url_of_the_web_is_refused(fetcher: PageFetcher, url: str) -> None:
    with pytest.raises(PageRefused):
        await fetcher.fetch(url)


async def test_name_that_turns_inwards_is_refused_at_the_next_connection(private: HostileSite) -> None:
    names = Names({"rebind.test": [["127.0.0.1"], ["127.0.0.2"]]})
    network = _OnAnyPort(PrivateHosts(), names, lambda address: is_public(address) or address == "127.0.0.1")
    private.visits.clear()

    async with open_fetcher(network, LIMITS) as fetcher:
        await fetcher.fetch(private.url("rebind.test"))
        with pytest.raises(PageRefused):
            await fetcher.fetch(private.url("rebind.test"))

    assert len(private.visits) == 1


async def test_name_is_resolved_once_a_connection(private: HostileSite) -> None:
    # A second look-up, by the connection itself, would find no answer.
    names = Names({"once.test": [["127.0.0.1"]]})
    network = _OnAnyPort(PrivateHosts(), names, lambda address: address == "127.0.0.1")

    async with open_fetcher(network, LIMITS) as fetcher:
        page = await fetcher.fetch(private.url("once.test"))

    assert page.content == PAGE


async def test_second_address_is_tried_where_the_first_does_not_answer(private: HostileSite) -> None:
    names = Names({"two.test": [["127.0.0.9", "127.0.0.1"]]})
    network = _OnAnyPort(PrivateHosts(), names, lambda address: address.startswith("127."))

    async with open_fetcher(network, LIMITS) as fetcher:
        page = await fetcher.fetch(private.url("two.test"))

    assert page.content == PAGE


@pytest.mark.parametrize("port", [22, 8080, 11211])
async def test_ports_of_other_services_are_refused(port: int) -> None:
    async with open_fetcher(CheckedNetwork(PrivateHosts(), Names()), LIMITS) as fetcher:
        with pytest.raises(PageRefused, match=f"Port {port}"):
            await fetcher.fetch(f"http://{PUBLIC}:{port}/")


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
async def test_proxy_of_the_environment_is_ignored(
    public: HostileSite, private: HostileSite, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, f"http://127.0.0.1:{private.port}")
    private.visits.clear()

    async with open_fetcher(CheckedNetwork(PrivateHosts(frozenset({(PUBLIC, public.port)})), Names())) as fetcher:
        page = await fetcher.fetch(public.url(PUBLIC))

    assert (page.content, private.visits) == (PAGE, [])


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/loop", PageRefused),
        ("/program", PageRefused),
        ("/brotli", PageUnavailable),
        ("/endless?application/pdf", PageRefused),
        ("/headers", PageUnavailable),
        ("/damaged", PageUnavailable),
        ("/drip", PageUnavailable),
        ("/silent", PageUnavailable),
        ("/missing", PageUnavailable),
    ],
)
async def test_page_that_is_not_one_is_not_read(
    fetcher: PageFetcher, public: HostileSite, path: str, error: type[PageNotRead]
) -> None:
    with pytest.raises(error):
        await fetcher.fetch(public.url(PUBLIC, path))


async def test_redirects_are_followed_and_counted(fetcher: PageFetcher, public: HostileSite) -> None:
    page = await fetcher.fetch(public.url(PUBLIC, "/to?/to?/ok"))
    with pytest.raises(PageRefused):
        await fetcher.fetch(public.url(PUBLIC, "/loop"))

    assert page.url == public.url(PUBLIC)
    assert [path for path, _ in public.visits].count("/loop") == LIMITS.redirects + 1


async def test_compressed_page_is_unpacked(fetcher: PageFetcher, public: HostileSite) -> None:
    assert (await fetcher.fetch(public.url(PUBLIC, "/zipped"))).content == PAGE


@pytest.mark.parametrize("path", ["/bomb", "/endless"])
async def test_page_without_end_is_cut_in_bounded_memory(fetcher: PageFetcher, public: HostileSite, path: str) -> None:
    tracemalloc.start()
    page = await fetcher.fetch(public.url(PUBLIC, path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (len(page.content), page.is_cut) == (LIMITS.text_bytes, True)
    assert peak < 16 * MIB


async def test_cookies_are_not_kept(fetcher: PageFetcher, public: HostileSite) -> None:
    for _ in range(2):
        await fetcher.fetch(public.url(PUBLIC))

    assert public.visits == [("/ok", None), ("/ok", None)]


async def test_each_url_is_asked_about_before_it_is_fetched(fetcher: PageFetcher, public: HostileSite) -> None:
    asked = []

    async def check(url: str) -> None:
        asked.append(url)
        if "/to" not in url:
            raise PageRefused("Not this one.")

    with pytest.raises(PageRefused, match="Not this one"):
        await fetcher.fetch(public.url(PUBLIC, "/to?/ok#part"), check)

    assert asked == [public.url(PUBLIC, "/to?/ok"), public.url(PUBLIC, "/ok")]
    assert len(public.visits) == 1


@pytest.mark.parametrize(
    ("entry", "is_reached"),
    [
        ("127.0.0.1:{port}", True),
        ("localhost:{port}", False),
        ("127.0.0.1", False),
        ("127.0.0.0/8", False),
        ("127.0.0.1:1", False),
    ],
)
async def test_private_host_is_reached_by_the_name_and_port_that_are_allowed(
    private: HostileSite, entry: str, is_reached: bool
) -> None:
    network = CheckedNetwork(PrivateHosts.parse([entry.format(port=private.port)]))
    private.visits.clear()

    async with open_fetcher(network, LIMITS) as fetcher:
        try:
            await fetcher.fetch(private.url("127.0.0.1"))
        except PageRefused:
            assert not is_reached

    assert bool(private.visits) == is_reached


async def test_network_that_is_allowed_is_reached_at_the_ports_of_the_web(private: HostileSite) -> None:
    async with open_fetcher(_OnAnyPort(PrivateHosts.parse(["127.0.0.0/8"])), LIMITS) as fetcher:
        page = await fetcher.fetch(private.url("127.0.0.1"))

    assert page.content == PAGE


@pytest.mark.parametrize("entry", ["http://a", "a/b", "a:b", "user@a", "10.0.0.1/8", ":80"])
def test_what_is_no_host_is_not_allowed(entry: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        PrivateHosts.parse([entry])


@pytest.mark.parametrize(("host", "is_trusted"), [(PUBLIC, True), ("impostor.test", True), (PUBLIC, False)])
async def test_certificate_is_that_of_the_name_although_its_address_is_connected_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str, is_trusted: bool
) -> None:
    certificate, asked = certificate_for(PUBLIC, tmp_path), list[str | None]()
    server = certificate.of_server()
    server.sni_callback = lambda _, name, __: asked.append(name)
    if is_trusted:
        monkeypatch.setattr("infra.web.fetching._certificates", certificate.of_client)

    with running_site(server) as site:
        allowed = PrivateHosts(frozenset({(host, site.port)}))
        async with open_fetcher(CheckedNetwork(allowed, Names()), LIMITS) as fetcher:
            try:
                content = (await fetcher.fetch(f"https://{host}:{site.port}/ok")).content
            except PageUnavailable:
                content = b""

    assert asked == [host]
    assert content == (PAGE if host == PUBLIC and is_trusted else b"")
    assert len(site.visits) == bool(content)
