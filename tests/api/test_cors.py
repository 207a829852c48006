"""CORS: web pages may call the API with a key that their user typed in, as they could call OpenAI's."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import settings_for
from tests.holdfast import running_holdfast
from tests.provider.scripted_provider import ScriptedProvider

PAGE = "https://page.example.com"
SENT = "authorization,content-type,openai-beta,x-stainless-lang"
PREFLIGHT = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": SENT}

Serving = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def serving(temporal_port: int, provider: ScriptedProvider, tmp_path: Path) -> Serving:
    @asynccontextmanager
    async def serve(**more: Any) -> AsyncIterator[httpx.AsyncClient]:
        settings = settings_for(tmp_path, temporal_port, provider, **more)
        async with (
            running_holdfast(settings, with_worker=False) as holdfast,
            httpx.AsyncClient(base_url=holdfast.url) as http,
        ):
            yield http

    return serve


async def test_any_origin_is_allowed_with_api_keys(serving: Serving) -> None:
    async with serving(api_keys={"sk-key": "project"}) as http:
        preflight = await http.options("/v1/threads", headers=PREFLIGHT)
        answer = await http.post("/v1/threads", headers={"Origin": PAGE, "Authorization": "Bearer sk-key"})
        refusal = await http.post("/v1/threads", headers={"Origin": PAGE})

    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert preflight.headers["access-control-allow-headers"] == SENT
    assert (answer.status_code, refusal.status_code) == (200, 401)
    for each in (answer, refusal):
        assert each.headers["access-control-allow-origin"] == "*"
        assert "x-request-id" in each.headers["access-control-expose-headers"]


async def test_no_origin_is_allowed_without_api_keys(serving: Serving) -> None:
    async with serving() as http:
        preflight = await http.options("/v1/threads", headers=PREFLIGHT)
        answer = await http.post("/v1/threads", headers={"Origin": PAGE})

    assert preflight.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_only_configured_origins_are_allowed(serving: Serving) -> None:
    async with serving(cors_origins=f"https://other.example.com, {PAGE}") as http:
        named = await http.options("/v1/threads", headers=PREFLIGHT)
        another = await http.options("/v1/threads", headers={**PREFLIGHT, "Origin": "https://evil.example.com"})

    assert (named.status_code, named.headers["access-control-allow-origin"]) == (200, PAGE)
    assert (another.status_code, another.headers.get("access-control-allow-origin")) == (400, None)
