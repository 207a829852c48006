from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import yaml

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.api.envelope import assert_error
from tests.conftest import settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.any_database

REFUSAL = (404, "The model 'gpt-404' does not exist", "model", "model_not_found")


@pytest.fixture(scope="module")
async def closed(
    temporal_port: int, provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningHoldfast]:
    """A Holdfast that offers only the models of its models file."""
    folder: Path = tmp_path_factory.mktemp("closed")
    offered = {"model_name": "gpt-4o", "litellm_params": provider.litellm_params("openai/gpt-4o")}
    (folder / "only.yaml").write_text(yaml.safe_dump({"model_list": [offered]}))
    settings = settings_for(folder, temporal_port, provider).model_copy(update={"models": folder / "only.yaml"})
    async with running_holdfast(settings, with_worker=False) as running:
        yield running


async def test_unoffered_model_is_rejected_on_every_route(closed: RunningHoldfast) -> None:
    assistant = await closed.assistant(SCRIPTED_MODEL)
    thread = (await closed.client.beta.threads.create()).id

    async with httpx.AsyncClient(base_url=f"{closed.url}/v1") as http:
        refused = [
            await http.post("/assistants", json={"model": "gpt-404"}),
            await http.post(f"/assistants/{assistant}", json={"model": "gpt-404"}),
            await http.post(f"/threads/{thread}/runs", json={"assistant_id": assistant, "model": "gpt-404"}),
            await http.post("/threads/runs", json={"assistant_id": assistant, "model": "gpt-404"}),
            await http.get("/models/gpt-404"),
        ]

    for response in refused:
        assert_error(response, *REFUSAL)


async def test_rejected_run_stores_nothing(closed: RunningHoldfast) -> None:
    assistant = await closed.assistant("gpt-4o")
    thread = (await closed.client.beta.threads.create()).id
    message = {"role": "user", "content": "Hi"}
    body = {"assistant_id": assistant, "model": "gpt-404", "additional_messages": [message]}

    async with httpx.AsyncClient(base_url=f"{closed.url}/v1") as http:
        assert_error(await http.post(f"/threads/{thread}/runs", json=body), *REFUSAL)

        assert (await http.get(f"/threads/{thread}/messages")).json()["data"] == []
        assert (await http.get(f"/threads/{thread}/runs")).json()["data"] == []
