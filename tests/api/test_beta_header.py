from pathlib import Path

import httpx
import pytest

from tests.api.envelope import assert_error
from tests.conftest import settings_for
from tests.holdfast import running_holdfast
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.any_database

REFUSAL = (
    "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again by setting the header "
    "'OpenAI-Beta: assistants=v2'."
)


@pytest.mark.parametrize("header", [None, "assistants=v2", "realtime=v1, assistants=v2", "realtime=v1", ""])
async def test_v2_and_missing_header_are_accepted(http: httpx.AsyncClient, header: str | None) -> None:
    headers = {} if header is None else {"OpenAI-Beta": header}

    response = await http.post("/v1/threads", headers=headers)

    assert response.status_code == 200


async def test_version_is_read_from_any_header_line(http: httpx.AsyncClient) -> None:
    lines = [("OpenAI-Beta", "realtime=v1"), ("OpenAI-Beta", "assistants=v1")]

    response = await http.post("/v1/assistants", headers=lines, json={"model": "m"})

    assert response.json()["file_ids"] == []


@pytest.mark.parametrize("path", ["/v1/assistants", "/v1/threads/thread_x", "/v1/threads/thread_x/runs/run_x/steps"])
@pytest.mark.parametrize("header", ["assistants=v3", "assistants", "realtime=v1,assistants=v0"])
async def test_unknown_version_is_rejected(http: httpx.AsyncClient, path: str, header: str) -> None:
    response = await http.get(path, headers={"OpenAI-Beta": header})

    assert_error(response, 400, REFUSAL, code="invalid_beta")


async def test_model_routes_ignore_version_header(http: httpx.AsyncClient) -> None:
    response = await http.get("/v1/models", headers={"OpenAI-Beta": "assistants=v1"})

    assert response.status_code == 200


async def test_setting_rejects_missing_header(temporal_port: int, provider: ScriptedProvider, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, temporal_port, provider).model_copy(update={"require_beta_header": True})

    async with (
        running_holdfast(settings, with_worker=False) as holdfast,
        httpx.AsyncClient(base_url=holdfast.url) as client,
    ):
        without = await client.post("/v1/threads")
        asked = await client.post("/v1/threads", headers={"OpenAI-Beta": "assistants=v2"})
        models = await client.get("/v1/models")

    assert_error(without, 400, REFUSAL, code="invalid_beta")
    assert (asked.status_code, models.status_code) == (200, 200)
