"""The server's OpenAPI document, which generated clients and the fuzz test rely on."""

from typing import Any

import pytest

from api.app import create_app
from tests.holdfast import RunningHoldfast

# Its making takes a second.
ONE_DOCUMENT = pytest.mark.xdist_group("openapi")
pytestmark = [pytest.mark.any_database, ONE_DOCUMENT]

# `submitToolOuputsToRun` is OpenAI's own spelling.
OPERATIONS = {
    "/v1/assistants": {"get": "listAssistants", "post": "createAssistant"},
    "/v1/assistants/{assistant_id}": {"get": "getAssistant", "post": "modifyAssistant", "delete": "deleteAssistant"},
    "/v1/threads": {"get": "listThreads", "post": "createThread"},
    "/v1/threads/runs": {"post": "createThreadAndRun"},
    "/v1/threads/{thread_id}": {"get": "getThread", "post": "modifyThread", "delete": "deleteThread"},
    "/v1/threads/{thread_id}/messages": {"get": "listMessages", "post": "createMessage"},
    "/v1/threads/{thread_id}/messages/{message_id}": {
        "get": "getMessage",
        "post": "modifyMessage",
        "delete": "deleteMessage",
    },
    "/v1/threads/{thread_id}/runs": {"get": "listRuns", "post": "createRun"},
    "/v1/threads/{thread_id}/runs/{run_id}": {"get": "getRun", "post": "modifyRun"},
    "/v1/threads/{thread_id}/runs/{run_id}/cancel": {"post": "cancelRun"},
    "/v1/threads/{thread_id}/runs/{run_id}/submit_tool_outputs": {"post": "submitToolOuputsToRun"},
    "/v1/threads/{thread_id}/runs/{run_id}/steps": {"get": "listRunSteps"},
    "/v1/threads/{thread_id}/runs/{run_id}/steps/{step_id}": {"get": "getRunStep"},
    "/v1/runs": {"get": "listAllRuns"},
    "/v1/threads/{thread_id}/runs/{run_id}/events": {"get": "listRunEvents"},
    "/v1/vector_stores": {"get": "listVectorStores", "post": "createVectorStore"},
    "/v1/vector_stores/{vector_store_id}": {
        "get": "getVectorStore",
        "post": "modifyVectorStore",
        "delete": "deleteVectorStore",
    },
    "/v1/vector_stores/{vector_store_id}/search": {"post": "searchVectorStore"},
    "/v1/vector_stores/{vector_store_id}/files": {"get": "listVectorStoreFiles", "post": "createVectorStoreFile"},
    "/v1/vector_stores/{vector_store_id}/files/{file_id}": {
        "get": "getVectorStoreFile",
        "post": "updateVectorStoreFileAttributes",
        "delete": "deleteVectorStoreFile",
    },
    "/v1/vector_stores/{vector_store_id}/files/{file_id}/content": {"get": "retrieveVectorStoreFileContent"},
    "/v1/vector_stores/{vector_store_id}/file_batches": {"post": "createVectorStoreFileBatch"},
    "/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}": {"get": "getVectorStoreFileBatch"},
    "/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel": {"post": "cancelVectorStoreFileBatch"},
    "/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/files": {"get": "listFilesInVectorStoreBatch"},
    "/v1/models": {"get": "listModels"},
    "/v1/embeddings": {"post": "createEmbedding"},
    "/v1/chat/completions": {"post": "createChatCompletion"},
    "/v1/models/{model}": {"get": "retrieveModel"},
    "/v1/files": {"get": "listFiles", "post": "createFile"},
    "/v1/files/{file_id}": {"get": "retrieveFile", "delete": "deleteFile"},
    "/v1/files/{file_id}/content": {"get": "downloadFile"},
    "/v1/uploads": {"post": "createUpload"},
    "/v1/uploads/{upload_id}/parts": {"post": "addUploadPart"},
    "/v1/uploads/{upload_id}/complete": {"post": "completeUpload"},
    "/v1/uploads/{upload_id}/cancel": {"post": "cancelUpload"},
    "/health": {"get": "getHealth"},
    "/ops/runs": {"get": "listOpsRuns"},
    "/ops/runs/{run_id}": {"get": "getOpsRun"},
    "/ops/runs/{run_id}/retry": {"post": "retryOpsRun"},
    "/ops/runs/{run_id}/cancel": {"post": "cancelOpsRun"},
    "/ops/web_retrieval": {"post": "crawlWebRetrieval", "get": "getWebRetrieval", "delete": "forgetWebRetrieval"},
    "/ops/web_retrieval/{crawl_id}": {"get": "getWebCrawl"},
    "/ops/files": {"get": "listOpsFiles"},
    "/ops/files/{vector_store_id}/{file_id}": {"get": "getOpsFile"},
    "/ops/files/{vector_store_id}/{file_id}/retry": {"post": "retryOpsFile"},
}


# Extensions that appear only in objects of programs that use them.
OPTIONAL_EXTENSIONS = {"on_active_run"}


@pytest.fixture(scope="module")
def document(holdfast: RunningHoldfast) -> dict[str, Any]:
    return create_app(holdfast.resources).openapi()


def test_operation_ids_are_openais(document: dict[str, Any]) -> None:
    named = {
        path: {method: operation["operationId"] for method, operation in operations.items()}
        for path, operations in document["paths"].items()
    }

    assert named == OPERATIONS


def test_every_operation_documents_key_and_error_envelope(document: dict[str, Any]) -> None:
    envelope = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorEnvelope"}}}

    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["responses"]["4XX"]["content"] == envelope
            assert operation["responses"]["5XX"]["content"] == envelope
            assert "422" not in operation["responses"]
            assert operation.get("security") == (None if path == "/health" else [{"ApiKeyAuth": []}])
    assert document["components"]["securitySchemes"] == {"ApiKeyAuth": {"type": "http", "scheme": "bearer"}}


def test_error_envelope_has_four_required_keys(document: dict[str, Any]) -> None:
    details = document["components"]["schemas"]["ErrorDetails"]

    assert details["required"] == list(details["properties"]) == ["message", "type", "param", "code"]


@pytest.mark.parametrize(
    "name",
    [
        "Assistant",
        "Thread",
        "Message",
        "Run",
        "RunStep",
        "OpsRun",
        "OpsFile",
        "CrawlAnswer",
        "WebCollection",
        "WebCrawlCourse",
        "Model",
        "Deleted",
        "Usage",
        "File",
        "UploadPart",
    ],
)
def test_every_key_of_responses_is_required(document: dict[str, Any], name: str) -> None:
    schema = document["components"]["schemas"][name]

    assert set(schema["required"]) == set(schema["properties"]) - OPTIONAL_EXTENSIONS


def test_request_bodies_allow_no_unknown_fields(document: dict[str, Any]) -> None:
    bodies = [schema for name, schema in document["components"]["schemas"].items() if name.endswith("Request")]

    assert len(bodies) == 24
    assert all(body["additionalProperties"] is False for body in bodies)
