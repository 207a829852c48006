"""The connections of the direct adapter: proxies, certificates and credentials of the environment and of addresses."""

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.language_model.chat_completions import client, routes
from infra.language_model.chat_completions.addresses import Endpoint
from infra.language_model.chat_completions.client import ChatCompletionsClient
from infra.language_model.chat_completions.failures import CallFailed
from tests.infra.web.certificates import certificate_for

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\ndata: {}\n\n\n"
NOT_HTTP = b"SSH-2.0-model\r\n\r\n"
IN_MANY_HEADERS = ANSWER.replace(b"\r\n", b"\r\nx-header: of a gateway" * 200 + b"\r\n", 1)
BROKEN = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\ndata: {}"
TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"
REFUSAL = b"HTTP/1.1 407 Who are you?\r\ncontent-length: 0\r\n\r\n"
KEY = {"authorization": "Bearer sk"}
PASSED = "authorization: Basic YW5uOnBAc3POqQ=="
"""The user `ann` with the password `p@ssΩ`."""


@dataclass
class Server:
    """Gives every request the same response."""

    response: bytes = ANSWER
    port: int = 0
    heads: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    protocols: list[str | None] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(line[15:]) for line in head.splitlines() if line.startswith("Content-Length:")), 0)
        self.sizes.append(len(await reader.readexactly(length)))
        self.heads.append(head)
        if tls := writer.get_extra_info("ssl_object"):
            self.protocols.append(tls.selected_alpn_protocol())
        writer.write(self.response)
        await writer.drain()
        writer.close()

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Server"]:
        async with await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self


@pytest.fixture(autouse=True)
def _environment_without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)
    routes.route_to.cache_clear()


async def _ask(
    url: str, headers: Mapping[str, str] = KEY, body: bytes = b"{}", read_seconds: float = 30
) -> list[bytes]:
    async with _asking() as asking:
        endpoint = Endpoint(url, "openai", "m", "m", headers, 5, read_seconds)
        return [event async for event in asking.events(endpoint, body)]


@asynccontextmanager
async def _asking() -> AsyncIterator[ChatCompletionsClient]:
    asking = ChatCompletionsClient()
    try:
        yield asking
    finally:
        await asking.close()


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
async def test_calls_go_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    async with Server().running() as proxy:
        monkeypatch.setenv(variable, f"http://ann:p%40ss%CE%A9@127.0.0.1:{proxy.port}")

        assert await _ask("http://model.test/v1") == [b"{}"]

    assert proxy.heads[0].startswith("POST http://model.test/v1 HTTP/1.1")
    assert f"proxy-{PASSED}" in proxy.heads[0]


async def test_a_refusing_proxy_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Server(REFUSAL).running() as proxy:
        monkeypatch.setenv("https_proxy", f"http://ann:secret@127.0.0.1:{proxy.port}")

        with pytest.raises(CallFailed, match="proxy says: 407 Who are you") as failed:
            await _ask("https://model.test/v1")

    assert proxy.heads[0].startswith("CONNECT model.test:443")
    assert "proxy-authorization: Basic YW5uOnNlY3JldA==" in proxy.heads[0]
    assert "sk" not in proxy.heads[0]
    assert "secret" not in failed.value.facts.said


async def test_a_proxy_that_is_not_of_http_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")

    with pytest.raises(CallFailed, match="proxy is of socks5"):
        await _ask("http://model.test/v1")


async def test_a_server_that_does_not_speak_http_is_unreachable() -> None:
    async with Server(NOT_HTTP).running() as server:
        with pytest.raises(CallFailed, match="SSH") as failed:
            await _ask(f"http://ann:secret@127.0.0.1:{server.port}/v1")

    assert failed.value.facts.is_connection_failure
    assert "secret" not in failed.value.facts.said


async def test_addresses_of_no_proxy_are_called_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    async with Server().running() as server:
        assert await _ask(f"http://ann:pass@127.0.0.1:{server.port}/v1") == [b"{}"]


async def test_credentials_of_the_address_take_the_place_of_the_key() -> None:
    async with Server().running() as server:
        await _ask(f"http://ann:p%40ss%CE%A9@127.0.0.1:{server.port}/v1")
        await _ask(f"http://127.0.0.1:{server.port}/v1")
        await _ask(f"http://@127.0.0.1:{server.port}/v1")

    assert [PASSED in head for head in server.heads] == [True, False, False]
    assert ["Bearer sk" in head for head in server.heads] == [False, True, True]


async def test_a_large_request_arrives_whole() -> None:
    async with Server().running() as server:
        await _ask(f"http://127.0.0.1:{server.port}/v1", body=b"x" * (client.PIECE_BYTES + 1))

    assert server.sizes == [client.PIECE_BYTES + 1]


async def test_a_server_that_does_not_accept_the_request_is_not_waited_for() -> None:
    async def accept_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await writer.wait_closed()

    async with await asyncio.start_server(accept_nothing, "127.0.0.1", 0) as server, asyncio.timeout(20):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        with pytest.raises(CallFailed, match=r"nothing came for 0\.1 s"):
            await _ask(url, body=b"x" * 30_000_000, read_seconds=0.1)


async def test_what_a_server_says_unasked_is_not_the_next_answer() -> None:
    connections: list[asyncio.StreamWriter] = []

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(ANSWER)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer_once, "127.0.0.1", 0) as server, _asking() as asking:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        endpoint = Endpoint(url, "openai", "m", "m", KEY, 5, 30)
        assert [event async for event in asking.events(endpoint, b"{}")] == [b"{}"]
        connections[0].write(TOO_LATE)
        for _ in range(3):
            # It is in the client's socket already, which the event loop has to see.
            await asyncio.sleep(0)

        assert [event async for event in asking.events(endpoint, b"{}")] == [b"{}"]

    assert len(connections) == 2


@pytest.mark.parametrize("is_listening", [True, False])
async def test_a_failed_call_is_free_of_its_request_at_once(is_listening: bool) -> None:
    body = b"x" * 1000
    references = sys.getrefcount(body)
    async with Server(BROKEN).running() as server, _asking() as asking:
        url = f"http://127.0.0.1:{server.port if is_listening else 1}/v1"
        with pytest.raises(CallFailed, match=r"not completed|Connect call failed") as failed:
            await anext(asking.events(Endpoint(url, "openai", "m", "m", KEY, 5, 30), body))
        del failed

        assert sys.getrefcount(body) == references


async def test_answers_may_have_many_headers() -> None:
    async with Server(IN_MANY_HEADERS).running() as server:
        assert await _ask(f"http://127.0.0.1:{server.port}/v1") == [b"{}"]


@pytest.mark.parametrize("url", ["http://[::1/v1", "http://ann:secret@[model]/v1", "http://a..b/v1", "http://a:b/v1"])
async def test_an_address_that_is_no_url_is_no_outage(url: str) -> None:
    with pytest.raises(CallFailed, match="no URL") as failed:
        await _ask(url)

    assert not failed.value.facts.is_connection_failure
    assert "secret" not in failed.value.facts.said


@pytest.mark.parametrize("name", ["x y", "x\r\ny: z", "ü", ""])
async def test_names_that_no_header_can_have_are_not_sent(name: str) -> None:
    with pytest.raises(CallFailed, match="no header can have"):
        await _ask("http://127.0.0.1:1/v1", {name: "1"})


async def test_certificates_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificate = certificate_for("localhost", tmp_path)
    tls = certificate.of_server()
    tls.set_alpn_protocols(["h2", "http/1.1"])
    async with Server().running(tls) as server:
        with pytest.raises(CallFailed, match="CERTIFICATE_VERIFY_FAILED"):
            await _ask(f"https://localhost:{server.port}/v1")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))

        assert await _ask(f"https://localhost:{server.port}/v1") == [b"{}"]

    assert server.protocols == ["http/1.1"]
