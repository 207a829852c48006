"""The connections of the direct adapter: proxies, certificates and credentials of the environment and of addresses."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.language_model.chat_completions import client
from infra.language_model.chat_completions.addresses import Endpoint
from infra.language_model.chat_completions.client import ChatCompletionsClient
from infra.language_model.chat_completions.failures import CallFailed
from tests.infra.web.certificates import certificate_for

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\ndata: {}\n\n\n"
NOT_HTTP = b"SSH-2.0-model\r\n\r\n"
REFUSAL = b"HTTP/1.1 407 Who are you?\r\ncontent-length: 0\r\n\r\n"
KEY = {"Authorization": "Bearer sk"}


@dataclass
class Server:
    """Gives every request the same response."""

    response: bytes = ANSWER
    port: int = 0
    heads: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(line[15:]) for line in head.splitlines() if line.startswith("Content-Length:")), 0)
        self.sizes.append(len(await reader.readexactly(length)))
        self.heads.append(head)
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
    client._proxy_for.cache_clear()


async def _ask(url: str, headers: Mapping[str, str] = KEY, body: bytes = b"{}") -> list[bytes]:
    asking = ChatCompletionsClient()
    try:
        return [event async for event in asking.events(Endpoint(url, "openai", "m", "m", headers, 5, 30), body)]
    finally:
        await asking.close()


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
async def test_calls_go_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    async with Server().running() as proxy:
        monkeypatch.setenv(variable, f"http://ann:p%40ss@127.0.0.1:{proxy.port}")

        assert await _ask("http://model.test/v1") == [b"{}"]

    assert proxy.heads[0].startswith("POST http://model.test/v1 HTTP/1.1")
    assert "Proxy-Authorization: Basic YW5uOnBAc3M=" in proxy.heads[0]


async def test_a_refusing_proxy_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Server(REFUSAL).running() as proxy:
        monkeypatch.setenv("https_proxy", f"http://ann:secret@127.0.0.1:{proxy.port}")

        with pytest.raises(CallFailed, match="proxy says: 407 Who are you") as failed:
            await _ask("https://model.test/v1")

    assert proxy.heads[0].startswith("CONNECT model.test:443")
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
        await _ask(f"http://ann:pass@127.0.0.1:{server.port}/v1")
        await _ask(f"http://127.0.0.1:{server.port}/v1")

    assert "Authorization: Basic YW5uOnBhc3M=" in server.heads[0]
    assert "Authorization: Bearer sk" in server.heads[1]


async def test_a_large_request_arrives_whole() -> None:
    async with Server().running() as server:
        await _ask(f"http://127.0.0.1:{server.port}/v1", body=b"x" * (client.LARGE_BYTES + 1))

    assert server.sizes == [client.LARGE_BYTES + 1]


async def test_certificates_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificate = certificate_for("localhost", tmp_path)
    async with Server().running(certificate.of_server()) as server:
        with pytest.raises(CallFailed, match="CERTIFICATE_VERIFY_FAILED"):
            await _ask(f"https://localhost:{server.port}/v1")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))

        assert await _ask(f"https://localhost:{server.port}/v1") == [b"{}"]
