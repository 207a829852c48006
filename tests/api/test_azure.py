"""Clients of Azure: their paths, their key header, and what their requests and errors have beside OpenAI's."""

from collections.abc import AsyncIterator

import httpx
import pytest
from openai import AsyncAzureOpenAI

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.api.test_projects import BLUE, RED, shared
from tests.holdfast import RunningHoldfast

__all__ = ["shared"]

pytestmark = pytest.mark.any_database

PREFIXES = ["/api/projects/blue", "/openai", "/openai/v1"]


@pytest.fixture(scope="module")
async def azure(shared: RunningHoldfast) -> AsyncIterator[httpx.AsyncClient]:
    """Sends the key of project blue as Azure's clients do."""
    headers = {"api-key": BLUE}
    params = {"api-version": "2025-05-15-preview"}
    async with httpx.AsyncClient(base_url=shared.url, headers=headers, params=params, timeout=30) as client:
        yield client


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_paths_of_azure_are_the_same_api(azure: httpx.AsyncClient, prefix: str) -> None:
    created = (await azure.post(f"{prefix}/threads", json={})).json()

    found = (await azure.get(f"/v1/threads/{created['id']}")).json()

    assert found == created


@pytest.mark.parametrize("path", [f"{prefix}/threads/thread_x" for prefix in PREFIXES])
async def test_errors_have_a_code(azure: httpx.AsyncClient, path: str) -> None:
    missing = await azure.get(path)
    unknown = await azure.get(path.replace("threads", "nothing"))
    without_key = await azure.get(path, headers={"api-key": ""})

    assert [each.status_code for each in (missing, unknown, without_key)] == [404, 404, 401]
    codes = [each.json()["error"]["code"] for each in (missing, unknown, without_key)]
    assert codes == ["invalid_request_error", "invalid_request_error", "invalid_api_key"]


async def test_errors_of_other_paths_keep_their_code(azure: httpx.AsyncClient) -> None:
    assert (await azure.get("/v1/threads/thread_x")).json()["error"]["code"] is None


async def test_api_key_header_must_be_a_key(azure: httpx.AsyncClient) -> None:
    response = await azure.get("/v1/threads", headers={"api-key": "sk-wrong"})

    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"


async def test_project_of_the_path_is_the_project_of_the_key(azure: httpx.AsyncClient) -> None:
    thread_id = (await azure.post("/v1/threads", json={})).json()["id"]

    named = await azure.get(f"/api/projects/blue/threads/{thread_id}", headers={"api-key": RED})
    own = await azure.get(f"/api/projects/red/threads/{thread_id}", headers={"api-key": RED})

    assert (named.status_code, named.json()["error"]["code"]) == (403, "wrong_project")
    assert own.status_code == 404


async def test_run_has_tool_resources_of_its_own(azure: httpx.AsyncClient) -> None:
    store = (await azure.post("/v1/vector_stores", json={})).json()["id"]
    resources = {"file_search": {"vector_store_ids": [store]}}
    assistant = (await azure.post("/v1/assistants", json={"model": SCRIPTED_MODEL})).json()
    thread = (await azure.post("/v1/threads", json={})).json()
    runs = f"/api/projects/blue/threads/{thread['id']}/runs"
    body = {"assistant_id": assistant["id"], "tools": [{"type": "file_search"}]}

    created = await azure.post(runs, json={**body, "tool_resources": resources})
    missing = {"file_search": {"vector_store_ids": ["vs_x"]}}
    refused = await azure.post(runs, json={**body, "tool_resources": missing})

    assert (created.status_code, created.json()["tool_resources"]) == (200, resources)
    assert refused.status_code == 404


@pytest.mark.parametrize("body", [{}, {"model": "gpt-4o"}])
async def test_deployment_in_the_path_is_the_model(azure: httpx.AsyncClient, body: dict[str, str]) -> None:
    path = f"/openai/deployments/{SCRIPTED_MODEL}/chat/completions"

    answer = await azure.post(path, json={**body, "messages": [{"role": "user", "content": "Hello"}]})

    assert (answer.status_code, answer.json()["model"]) == (200, SCRIPTED_MODEL)


async def test_unknown_deployment_is_refused_by_its_name(azure: httpx.AsyncClient) -> None:
    refused = await azure.post("/openai/deployments/prod-emb/embeddings", json={"model": "other", "input": "Hello"})

    assert refused.status_code == 404
    assert "'prod-emb'" in refused.json()["error"]["message"]


async def test_path_without_a_model_has_no_deployment(azure: httpx.AsyncClient) -> None:
    assert (await azure.post(f"/openai/deployments/{SCRIPTED_MODEL}/threads", json={})).status_code == 404


FOUNDRYS = ("bing_grounding", "azure_ai_search", "openapi", "connected_agent", "azure_function", "mcp")


@pytest.mark.parametrize("kind", FOUNDRYS)
async def test_tools_of_foundry_are_refused_by_name(azure: httpx.AsyncClient, kind: str) -> None:
    body = {"model": SCRIPTED_MODEL, "tools": [{"type": kind, kind: {}}]}

    refused = await azure.post("/api/projects/blue/assistants", json=body)

    error = refused.json()["error"]
    assert (refused.status_code, error["param"], error["code"]) == (400, "tools[0].type", "invalid_value")
    assert f"'{kind}'" in error["message"]


@pytest.mark.parametrize("version", ["v1", "2025-05-01", "2024-05-01-preview", "latest"])
async def test_any_api_version_is_accepted(azure: httpx.AsyncClient, version: str) -> None:
    listed = await azure.get("/api/projects/blue/assistants", params={"api-version": version, "limit": 1})

    assert listed.status_code == 200


async def test_run_that_names_no_resources_has_those_of_its_assistant(azure: httpx.AsyncClient) -> None:
    store = (await azure.post("/v1/vector_stores", json={})).json()["id"]
    resources = {"file_search": {"vector_store_ids": [store]}}
    agent = {"model": SCRIPTED_MODEL, "tools": [{"type": "file_search"}], "tool_resources": resources}
    assistant = (await azure.post("/api/projects/blue/assistants", json=agent)).json()
    thread = (await azure.post("/v1/threads", json={})).json()

    body = {"assistant_id": assistant["id"], "tool_resources": {}}
    created = await azure.post(f"/api/projects/blue/threads/{thread['id']}/runs", json=body)

    assert created.json()["tool_resources"] == resources


async def test_tool_outputs_may_have_a_type(shared: RunningHoldfast, azure: httpx.AsyncClient) -> None:
    assistant_id = await shared.assistant(SCRIPTED_MODEL, "get_weather")
    waiting = await shared.until(await shared.run(assistant_id))
    assert waiting.required_action
    (call,) = waiting.required_action.submit_tool_outputs.tool_calls
    path = f"/api/projects/blue/threads/{waiting.thread_id}/runs/{waiting.id}/submit_tool_outputs"
    output = {"tool_call_id": call.id, "output": "sunny"}

    refused = await azure.post(path, json={"tool_outputs": [{**output, "type": "mcp_output"}]})
    accepted = await azure.post(path, json={"tool_outputs": [{**output, "type": "function_call_output"}]})

    assert (refused.status_code, accepted.status_code) == (400, 200)
    assert (await shared.until(waiting)).status == "completed"


async def test_client_of_azure_openai_runs_an_assistant(shared: RunningHoldfast) -> None:
    async with AsyncAzureOpenAI(azure_endpoint=shared.url, api_key=BLUE, api_version="2024-05-01-preview") as client:
        assistant = await client.beta.assistants.create(model=SCRIPTED_MODEL)
        thread = await client.beta.threads.create(messages=[{"role": "user", "content": "Hello"}])
        run = await client.beta.threads.runs.create_and_poll(
            thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=20
        )
        messages = await client.beta.threads.messages.list(thread.id)
        completion = await client.chat.completions.create(
            model=SCRIPTED_MODEL, messages=[{"role": "user", "content": "Hello"}]
        )
    assert completion.choices[0].message.content == "You said: Hello"
    assert run.status == "completed"
    assert [message.role for message in messages.data] == ["assistant", "user"]
