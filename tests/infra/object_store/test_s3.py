"""What only S3 has: an address with a secret, and servers that are away or refuse."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Self

import pytest

from infra.errors import ConnectionFailed
from infra.object_store.errors import ObjectStoreUnavailable
from infra.object_store.s3 import open_s3_object_store
from infra.object_store.s3_url import S3Address, parse_s3_url
from tests.cli.program import free_ports
from tests.infra.object_store.content import LARGE_BYTES, chunks, random_bytes, read
from tests.s3 import KEY, SECRET, SHARES_S3, S3Server


class Proxy:
    """Passes connections on to a port until it is closed."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._writers: list[asyncio.StreamWriter] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1")
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, far_writer]
        await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer), return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    writer.close()


def test_reads_an_address() -> None:
    address = parse_s3_url("s3://me:a%2Fb%3Fc@store.example:9000/files?secure=false&region=eu-west-1")

    assert address == S3Address("store.example:9000", "files", "me", "a/b?c", False, "eu-west-1")
    assert "a/b" not in repr(address)
    assert parse_s3_url("s3://s3.example/files") == S3Address("s3.example", "files")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("s3://me:verysecret@host", "no bucket"),
        ("s3://me:verysecret@/bucket", "no host"),
        ("s3://me:verysecret@host/bucket/folder", "no bucket"),
        ("s3://me@host/bucket", "without a secret"),
        ("s3://me:verysecret@host/bucket?secure=yes", "neither true nor false"),
        ("s3://me:verysecret@host/bucket?sercet=1", "unknown option 'sercet'"),
        ("s3://me:verysecret@host:x/bucket", "port is no number"),
    ],
)
def test_says_what_is_wrong_with_an_address(url: str, reason: str) -> None:
    with pytest.raises(ConnectionFailed, match=reason) as raised:
        parse_s3_url(url)

    assert "verysecret" not in str(raised.value)


@SHARES_S3
async def test_finds_the_bucket_that_it_made(s3: S3Server) -> None:
    async with open_s3_object_store(s3.url("made-once")) as store:
        await store.put("a", chunks(b"content"))

    async with open_s3_object_store(s3.url("made-once")) as store:
        assert await read(store.get("a")) == b"content"


@SHARES_S3
async def test_takes_the_credentials_of_the_environment(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    _, _, rest = s3.url("environment").partition("@")

    async with open_s3_object_store(f"s3://{rest}") as store:
        await store.check()


@SHARES_S3
async def test_a_wrong_secret_is_said_without_it(s3: S3Server) -> None:
    with pytest.raises(ConnectionFailed, match="HOLDFAST_OBJECT_STORE_URL") as raised:
        async with open_s3_object_store(s3.url("refused", secret="not-the-secret")):
            pass

    assert "not-the-secret" not in str(raised.value)


async def test_a_server_that_is_away_is_noticed_soon() -> None:
    began = time.monotonic()

    with pytest.raises(ConnectionFailed, match="does not answer"):
        async with open_s3_object_store(f"s3://k:s@127.0.0.1:{free_ports(1)[0]}/bucket?secure=false"):
            pass

    assert time.monotonic() - began < 15


@SHARES_S3
async def test_a_server_that_goes_away_ends_a_put(s3: S3Server) -> None:
    """Behind a port that is closed in mid-upload, as the server itself is the other tests' too."""
    async with Proxy(s3.port) as proxy:
        url = s3.url("goes-away").replace(f":{s3.port}/", f":{proxy.port}/")
        async with open_s3_object_store(url) as store:

            async def content() -> AsyncGenerator[bytes, None]:
                async for chunk in chunks(random_bytes(LARGE_BYTES)):
                    yield chunk
                await proxy.close()
                async for chunk in chunks(random_bytes(4 * LARGE_BYTES)):
                    yield chunk

            with pytest.raises(ObjectStoreUnavailable):
                await store.put("a", content())
            with pytest.raises(ObjectStoreUnavailable):
                await anext(store.get("a"))
            with pytest.raises(ObjectStoreUnavailable):
                await store.delete("a")
