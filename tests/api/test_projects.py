"""API keys: requests without one are rejected on every route, and objects of other projects are not found."""

from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from api.app import create_app
from api.json_bodies import MAX_BODY_BYTES
from infra.language_model.scripted import SCRIPTED_MODEL
from tests.api.conftest import FinishedRun, finish_a_run
from tests.api.envelope import assert_error, assert_has_headers
from tests.conftest import NewDatabase, settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.scripted_provider import ScriptedProvider

KEYS = {"sk-blue-0123456789abcdef": "blue", "sk-red": "red"}
BLUE, RED = KEYS
NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username)."
)
BODIES: dict[str, dict[str, Any]] = {
    "createAssistant": {"model": SCRIPTED_MODEL},
    "createMessage": {"role": "user", "content": "Hi"},
    "createRun": {"assistant_id": "asst_x"},
    "createThreadAndRun": {"assistant_id": "asst_x"},
    "submitToolOuputsToRun": {"tool_outputs": []},
    "createUpload": {"filename": "a", "purpose": "vision", "bytes": 1, "mime_type": "text/plain"},
    "completeUpload": {"part_ids": []},
    "searchVectorStore": {"query": "Hi"},
    "createVectorStoreFile": {"file_id": "file-x"},
    "updateVectorStoreFileAttributes": {"attributes": {}},
    "createVectorStoreFileBatch": {"file_ids": ["file-x"]},
    "crawlWebRetrieval": {"root_urls": ["http://10.0.0.1/"], "max_depth": 0, "background": True},
}
WITHOUT_OBJECTS = {
    *("createAssistant", "createThread", "listAssistants", "listThreads", "listAllRuns"),
    *("listModels", "retrieveModel", "listOpsRuns", "listOpsFiles", "createFile", "listFiles", "createUpload"),
    *("createVectorStore", "listVectorStores", "createEmbedding", "createChatCompletion"),
    *("crawlWebRetrieval", "getWebRetrieval", "forgetWebRetrieval"),
}


@pytest.fixture(scope="module")
async def shared(
    temporal_port: int,
    provider: ScriptedProvider,
    new_database: NewDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[RunningHoldfast]:
    """A Holdfast with two projects; its client uses the key of project blue."""
    settings = settings_for(tmp_path_factory.mktemp("shared"), temporal_port, provider, new_database())
    async with running_holdfast(settings.model_copy(update={"api_keys": KEYS})) as running:
        await running.client.close()
        running.client = AsyncOpenAI(base_url=f"{running.url}/v1", api_key=BLUE, max_retries=0)
        yield running


@pytest.fixture(scope="module")
async def blue(shared: RunningHoldfast) -> FinishedRun:
    return await finish_a_run(shared)


@pytest.fixture
async def red(shared: RunningHoldfast) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=shared.url, headers={"Authorization": f"Bearer {RED}"}) as client:
        yield client


def operations(holdfast: RunningHoldfast) -> list[tuple[str, str, str]]:
    """Method, path and operation id of every operation that is documented and needs a key."""
    paths: dict[str, dict[str, Any]] = create_app(holdfast.resources).openapi()["paths"]
    return [
        (method.upper(), path, operation["operationId"])
        for path, methods in paths.items()
        for method, operation in methods.items()
        if path != "/health"
    ]


@pytest.mark.any_database
async def test_every_operation_rejects_missing_key(shared: RunningHoldfast, blue: FinishedRun) -> None:
    async with httpx.AsyncClient(base_url=shared.url) as client:
        responses = [
            await client.request(method, path.format(**vars(blue), model="x"), json=BODIES.get(operation))
            for method, path, operation in operations(shared)
        ]

    assert len(responses) > 20
    for response in responses:
        assert_error(response, 401, NO_KEY, code="invalid_api_key")


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("Bearer sk-wrong-0123456789abcdef", "Incorrect API key provided: sk-wrong-****cdef."),
        ("Bearer short", "Incorrect API key provided: ****."),
        ("bearer schlüssel", "Incorrect API key provided: ****."),
        (f"Bearer {BLUE}x", "Incorrect API key provided: sk-blue-0****defx."),
        ("Bearer", NO_KEY),
        (f"Basic {BLUE}", NO_KEY),
        (f"Basic {b64encode(BLUE.encode()).decode()}", NO_KEY),
        (
            f"Basic {b64encode(b':sk-wrong-0123456789abcdef').decode()}",
            "Incorrect API key provided: sk-wrong-****cdef.",
        ),
        ("", NO_KEY),
    ],
)
async def test_wrong_key_is_rejected_and_not_quoted(shared: RunningHoldfast, header: str, message: str) -> None:
    async with httpx.AsyncClient(base_url=shared.url) as client:
        response = await client.get("/v1/assistants", headers=[(b"Authorization", header.encode())])

    assert_error(response, 401, message, code="invalid_api_key")


@pytest.mark.any_database
@pytest.mark.parametrize("body", [b"{", b" " * (MAX_BODY_BYTES + 1)], ids=["no-json", "too-large"])
async def test_body_is_not_read_without_valid_key(shared: RunningHoldfast, body: bytes) -> None:
    async with httpx.AsyncClient(base_url=shared.url) as client:
        response = await client.post("/v1/threads", content=body, headers={"Content-Type": "application/json"})

    assert_error(response, 401, NO_KEY, code="invalid_api_key")


@pytest.mark.any_database
async def test_key_is_accepted_as_basic_auth_password(shared: RunningHoldfast, blue: FinishedRun) -> None:
    async with httpx.AsyncClient(base_url=shared.url, auth=("", BLUE)) as client:
        answer = await client.get(f"/v1/threads/{blue.thread_id}")

    assert answer.json()["id"] == blue.thread_id


@pytest.mark.any_database
async def test_objects_of_another_project_are_not_found(
    shared: RunningHoldfast, blue: FinishedRun, red: httpx.AsyncClient
) -> None:
    for method, path, operation in operations(shared):
        if operation in WITHOUT_OBJECTS:
            continue

        body = BODIES.get(operation)
        if operation == "createThreadAndRun":
            body = {"assistant_id": blue.assistant_id}
        response = await red.request(method, path.format(**vars(blue)), json=body)

        assert response.status_code == 404, (operation, response.text)
        message = response.json()["error"]["message"]
        assert "found with id" in message or message == f"No such File object: {blue.file_id}"
        assert_has_headers(response)
    assert (await shared.client.beta.threads.runs.retrieve(blue.run_id, thread_id=blue.thread_id)).id == blue.run_id


@pytest.mark.any_database
async def test_run_rejects_assistant_of_another_project(red: httpx.AsyncClient, blue: FinishedRun) -> None:
    thread = (await red.post("/v1/threads")).json()["id"]

    response = await red.post(f"/v1/threads/{thread}/runs", json={"assistant_id": blue.assistant_id})

    assert_error(response, 404, f"No assistant found with id '{blue.assistant_id}'.")


@pytest.mark.any_database
async def test_assistants_of_another_project_are_not_listed(red: httpx.AsyncClient, blue: FinishedRun) -> None:
    own = (await red.post("/v1/assistants", json={"model": SCRIPTED_MODEL})).json()["id"]

    listed = (await red.get("/v1/assistants")).json()["data"]
    after = await red.get("/v1/assistants", params={"after": blue.assistant_id})

    assert [assistant["id"] for assistant in listed] == [own]
    assert_error(after, 404, f"No assistant found with id '{blue.assistant_id}'.")


@pytest.mark.any_database
async def test_file_of_another_project_is_not_found_by_a_vector_store(
    red: httpx.AsyncClient, blue: FinishedRun
) -> None:
    own = (await red.post("/v1/vector_stores", json={})).json()["id"]

    refused = [
        await red.post("/v1/vector_stores", json={"file_ids": [blue.file_id]}),
        await red.post(f"/v1/vector_stores/{own}/files", json={"file_id": blue.file_id}),
        await red.post(f"/v1/vector_stores/{own}/file_batches", json={"file_ids": [blue.file_id]}),
        await red.get(f"/v1/vector_stores/{own}/files/{blue.file_id}"),
        await red.get(f"/v1/vector_stores/{own}/file_batches/{blue.batch_id}"),
        await red.get("/v1/vector_stores", params={"after": blue.vector_store_id}),
    ]

    for response in refused:
        assert response.status_code == 404, response.text
    found = (await red.post(f"/v1/vector_stores/{own}/search", json={"query": "content"})).json()["data"]
    assert found == []


@pytest.mark.any_database
@pytest.mark.parametrize(
    "path", ["/v1/threads", "/v1/runs", "/ops/runs", "/ops/files", "/v1/files", "/v1/vector_stores"]
)
async def test_global_lists_omit_objects_of_other_projects(
    red: httpx.AsyncClient, blue: FinishedRun, path: str
) -> None:
    listed = (await red.get(path, params={"limit": 100})).json()["data"]

    assert set(vars(blue).values()).isdisjoint(item["id"] for item in listed)


@pytest.mark.any_database
async def test_cursor_rejects_deleted_assistant_of_another_project(
    shared: RunningHoldfast, red: httpx.AsyncClient
) -> None:
    deleted = await shared.assistant(SCRIPTED_MODEL)
    await shared.client.beta.assistants.delete(deleted)

    after = await red.get("/v1/assistants", params={"after": deleted})

    assert_error(after, 404, f"No assistant found with id '{deleted}'.")


@pytest.mark.any_database
async def test_health_needs_no_key(shared: RunningHoldfast) -> None:
    async with httpx.AsyncClient(base_url=shared.url) as client:
        response = await client.get("/health")

    parts = {"database": "ok", "temporal": "ok", "object_store": "ok", "vector_index": "ok"}
    assert response.json() == {**parts, "sandbox": "none: code_interpreter is refused"}


@pytest.mark.any_database
async def test_responses_name_project_in_header(shared: RunningHoldfast, red: httpx.AsyncClient) -> None:
    answer = await red.get("/v1/assistants")
    refusal = await red.get("/v1/threads/thread_x")
    async with httpx.AsyncClient(base_url=shared.url) as anonymous:
        without_key = await anonymous.get("/v1/assistants")

    assert [each.headers.get("openai-organization") for each in (answer, refusal, without_key)] == ["red", "red", None]


@pytest.mark.any_database
async def test_project_header_is_omitted_if_name_is_not_ascii(
    temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, temporal_port, provider, api_keys={"sk-key": "Zürich"})
    async with (
        running_holdfast(settings, with_worker=False) as running,
        httpx.AsyncClient(base_url=running.url) as http,
    ):
        answer = await http.get("/v1/assistants", headers={"Authorization": "Bearer sk-key"})

    assert (answer.status_code, "openai-organization" in answer.headers) == (200, False)
