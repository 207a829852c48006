"""Addresses of a Weaviate, settings that name none, and servers that are away."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta

import grpc
import pytest

from infra.errors import ConnectionFailed
from infra.resources import open_vector_index
from infra.settings import Settings
from infra.vector_index.weaviate_index import open_weaviate_index
from infra.vector_index.weaviate_queries import open_queries
from infra.vector_index.weaviate_url import WeaviateAddress, parse_weaviate_url
from models.search_index import IndexedStore
from tests.cli.program import free_ports

SHORTLY = timedelta(seconds=0.5)
HTTP2_SETTINGS = bytes.fromhex("000000040000000000")


@pytest.fixture
def silent_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_reads_an_address() -> None:
    whole = parse_weaviate_url("weaviate://very%2Fsecret@search.example:443?grpc_port=50052&secure=true")

    assert whole == WeaviateAddress("search.example", 443, 50052, "very/secret", True)
    assert "secret" not in repr(whole)
    assert parse_weaviate_url("weaviate://weaviate") == WeaviateAddress("weaviate", 8080, 50051, "", False)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("weaviate://verysecret@", "no host"),
        ("weaviate://verysecret@host/path", "a path"),
        ("weaviate://me:verysecret@host", "a user and a password"),
        ("weaviate://verysecret@host?secure=yes", "neither true nor false"),
        ("weaviate://verysecret@host?sceure=true", "unknown option 'sceure'"),
        ("weaviate://verysecret@host:x", "no number"),
        ("weaviate://verysecret@host?grpc_port=x", "no number"),
        ("weaviate://verysecret@host:50051", "that of the rest"),
        ("weaviate://verysecret@host?grpc_port=70000", "no port"),
        ("weaviate://verysecret%0A@host", "no header may have"),
        ("weaviate://verysecret%C3%A9@host", "no header may have"),
    ],
)
def test_says_what_is_wrong_with_an_address(url: str, reason: str) -> None:
    with pytest.raises(ConnectionFailed, match=reason) as raised:
        parse_weaviate_url(url)

    assert "verysecret" not in str(raised.value)


async def test_address_of_another_kind_is_refused() -> None:
    with pytest.raises(ConnectionFailed, match="begins with 'http', expected weaviate://") as raised:
        async with open_vector_index(Settings(vector_index_url="http://verysecret@host:8080")):
            pass

    assert "verysecret" not in str(raised.value)


async def test_weaviate_that_is_away_is_reported_at_the_start() -> None:
    port, grpc_port = free_ports(2)

    with pytest.raises(ConnectionFailed, match=f"Start Weaviate at 127.0.0.1:{port} or check HOLDFAST_VECTOR_INDEX"):
        async with open_weaviate_index(f"weaviate://127.0.0.1:{port}?grpc_port={grpc_port}"):
            pass


async def test_silent_weaviate_is_reported_at_the_start(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.vector_index.weaviate_client.CONNECT_TIMEOUT", SHORTLY)

    with pytest.raises(ConnectionFailed, match=r"within 0.5 s. Start Weaviate"):
        async with open_weaviate_index(f"weaviate://127.0.0.1:{silent_port}?grpc_port={free_ports(1)[0]}"):
            pass


async def test_query_that_is_not_answered_ends(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.vector_index.weaviate_queries.LONGEST_SECONDS", SHORTLY.total_seconds())

    async with asyncio.timeout(30), open_queries(WeaviateAddress("127.0.0.1", grpc_port=silent_port)) as queries:
        with pytest.raises(grpc.aio.AioRpcError, match="DEADLINE_EXCEEDED"):
            await queries.of(IndexedStore("vs_one", None, 0)).with_words(["pump"], limit=1)


async def test_queries_name_the_host_without_its_port() -> None:
    sent: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HTTP2_SETTINGS)
        # gRPC sends the names and values of its headers as they are.
        sent.set_result(await reader.readuntil(b"Bearer"))
        writer.close()

    async with await asyncio.start_server(read, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        async with open_queries(WeaviateAddress("127.0.0.1", grpc_port=port, key="key")) as queries:
            query = asyncio.create_task(queries.of(IndexedStore("vs_one", None, 0)).with_words(["pump"], limit=1))
            headers = await asyncio.wait_for(sent, 30)
            query.cancel()

    assert b"127.0.0.1" in headers
    assert f"127.0.0.1:{port}".encode() not in headers
