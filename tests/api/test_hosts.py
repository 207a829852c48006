"""Allowed values of `Host`: a web page whose name resolves to loopback (DNS rebinding) is rejected."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.envelope import assert_error
from tests.conftest import settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.any_database

Serving = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def serving(temporal_port: int, provider: ScriptedProvider, tmp_path: Path) -> Serving:
    @asynccontextmanager
    async def serve(**more: Any) -> AsyncIterator[httpx.AsyncClient]:
        settings = settings_for(tmp_path, temporal_port, provider, **more)
        async with (
            running_holdfast(settings, with_worker=False) as holdfast,
            httpx.AsyncClient(base_url=holdfast.url, headers={"Authorization": "Bearer sk-key"}) as http,
        ):
            yield http

    return serve


async def _statuses(http: httpx.AsyncClient, *hosts: str) -> list[int]:
    return [(await http.get("/v1/threads", headers={"Host": host})).status_code for host in hosts]


@pytest.mark.parametrize("path", ["/v1/threads", "/threads", "/health", "/metrics", "/ops/runs", "/docs", "/nothing"])
async def test_foreign_host_is_rejected_without_api_keys(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path, headers={"Host": "page.example.com:8000"})

    message = (
        "This server does not answer to the host 'page.example.com:8000'. If clients are to reach it by that name, add "
        "it to HOLDFAST_ALLOWED_HOSTS."
    )
    assert_error(response, 421, message, code="unknown_host")


async def test_loopback_names_are_accepted(http: httpx.AsyncClient) -> None:
    good = ("localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000", "[::1]")
    bad = ("localhost.example.com", "127.0.0.1.example.com", "example.com:127.0.0.1", "", "[::2]", "x@localhost")

    assert await _statuses(http, *good) == [200] * len(good)
    assert await _statuses(http, *bad) == [421] * len(bad)


@pytest.mark.parametrize("hosts", [b"Host: localhost\r\nHost: page.example.com\r\n", b""], ids=["two", "none"])
async def test_two_hosts_and_none_are_refused(holdfast: RunningHoldfast, hosts: bytes) -> None:
    """Which httpx does not send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(holdfast.url).port)

    writer.write(b"GET /health HTTP/1.1\r\n" + hosts + b"\r\n")

    assert (await reader.readline()).split()[1] == b"421"
    writer.close()


async def test_setting_allows_further_hosts(serving: Serving) -> None:
    async with serving(allowed_hosts="Proxy.example.com, other.example.com") as http:
        assert await _statuses(http, "proxy.example.com", "OTHER.example.com:8443", "localhost") == [200] * 3
        assert await _statuses(http, "page.example.com") == [421]


async def test_any_host_is_accepted_with_api_keys_unless_hosts_are_set(serving: Serving) -> None:
    async with serving(api_keys={"sk-key": "project"}) as http:
        assert await _statuses(http, "page.example.com") == [200]
    async with serving(api_keys={"sk-key": "project"}, allowed_hosts="proxy.example.com") as http:
        assert await _statuses(http, "proxy.example.com", "127.0.0.1", "page.example.com") == [200, 200, 421]
    async with serving(allowed_hosts="*") as http:
        assert await _statuses(http, "page.example.com") == [200]
