"""The strict check of answers reports deviations that the SDKs accept."""

import json
import subprocess
from typing import Any

import httpx
import pytest
from openai.types.beta import Assistant
from openai.types.vector_stores import VectorStoreFileBatch

from tests.conformance.clients import CLIENTS, NODE_PROGRAM, NodeClient
from tests.conformance.environments import node_modules, node_program
from tests.conformance.python_program.checked_client import violations, wrong_in
from tests.conformance.python_program.checked_stream import CheckedStream

# It may be the first to install Node and an SDK for it.
pytestmark = pytest.mark.timeout(900)

ASSISTANT = {
    "id": "asst_1",
    "object": "assistant",
    "created_at": 1,
    "name": None,
    "description": None,
    "model": "m",
    "instructions": None,
    "tools": [{"type": "function", "function": {"name": "f", "unknown": 1}}, {"type": "code_interpreter"}],
    "metadata": {},
    "unknown": 1,
}
NODE_CLIENTS = [client.name for client in CLIENTS if isinstance(client, NodeClient)]
# Gives `Answers` one answer, as if a server had sent it.
READ_ONE = """
import { Answers } from "./answers.mjs";
const [modules, body, type] = process.argv.slice(1);
const headers = { "x-request-id": `req_${"0".repeat(32)}`, "content-type": type };
globalThis.fetch = async () => new Response(body, { headers });
const answers = new Answers("http://holdfast/v1");
answers.operation = "assistants.retrieve";
await answers.fetch("http://holdfast/v1/assistants/asst_1", { method: "get" });
process.stdout.write(JSON.stringify(await answers.violations(modules)));
"""

WRONG = {
    "missing": {name: value for name, value in ASSISTANT.items() if name != "model"},
    "null": {**ASSISTANT, "model": None},
    "of another type": {**ASSISTANT, "created_at": "1"},
    "of another literal": {**ASSISTANT, "object": "helper"},
    "wrong within": {**ASSISTANT, "tools": [{"type": "function", "function": {"description": "nameless"}}]},
}
THREAD = {"id": "thread_1", "object": "thread", "created_at": 1, "metadata": {}, "tool_resources": {}, "unknown": 1}
WRONG_EVENTS = {
    "missing": ("thread.created", {name: value for name, value in THREAD.items() if name != "created_at"}),
    "of another type": ("thread.created", {**THREAD, "created_at": "1"}),
    "of another event": ("thread.run.created", THREAD),
}
JSON, EVENTS = "application/json", "text/event-stream; charset=utf-8"


def test_python_lets_fields_pass_that_the_sdk_does_not_know() -> None:
    assert violations(Assistant, answer(ASSISTANT)) == []


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_python_notices_field_that_is(body: dict[str, Any]) -> None:
    assert violations(Assistant, answer(body)) != []


def test_python_lets_only_the_difference_pass_that_openai_has_too() -> None:
    batch = {"id": "vsfb_1", "object": "vector_store.file_batch", "created_at": 1, "vector_store_id": "vs_1"}
    counts = {"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 0, "total": 1}

    assert wrong_in(VectorStoreFileBatch, json.dumps({**batch, "status": "completed", "file_counts": counts})) == []
    assert len(wrong_in(VectorStoreFileBatch, json.dumps({**batch, "status": "done", "file_counts": counts}))) == 1


def test_python_notices_missing_request_id() -> None:
    [violation] = violations(Assistant, httpx.Response(200, json=ASSISTANT))

    assert "x-request-id" in violation


def test_python_reads_streams_in_chunks_of_any_size() -> None:
    stream, found = checked_stream()
    sent = (event_of("thread.created", THREAD) + ": keepalive\n\n" + "event: done\ndata: [DONE]\n\n").encode()

    read = [stream.checked(sent[place : place + 1]) for place in range(len(sent))]

    assert b"".join(read) == sent
    assert (found, stream.keepalives) == ([], 1)


@pytest.mark.parametrize(("name", "data"), WRONG_EVENTS.values(), ids=WRONG_EVENTS)
def test_python_notices_in_a_stream_what_is(name: str, data: dict[str, Any]) -> None:
    stream, found = checked_stream()

    stream.checked(event_of(name, data).encode())

    assert found != []


def test_python_notices_event_that_the_sdk_does_not_know() -> None:
    stream, found = checked_stream()

    stream.checked(event_of("thread.unknown", THREAD).encode())

    assert found == ["the SDK does not know thread.unknown"]


@pytest.mark.conformance
@pytest.mark.parametrize("client", NODE_CLIENTS)
def test_node_lets_fields_pass_that_the_sdk_does_not_know(client: str) -> None:
    assert node_violations(client, ASSISTANT) == []


@pytest.mark.conformance
@pytest.mark.parametrize("client", NODE_CLIENTS)
@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_node_notices_field_that_is(client: str, body: dict[str, Any]) -> None:
    [(operation, violation)] = node_violations(client, body)

    assert operation == "assistants.retrieve"
    assert violation.startswith("OpenAI.Beta.Assistant: ")


@pytest.mark.conformance
@pytest.mark.parametrize("client", NODE_CLIENTS)
def test_node_lets_events_pass_that_the_sdk_knows(client: str) -> None:
    sent = event_of("thread.created", THREAD) + ": keepalive\n\n" + "event: done\ndata: [DONE]\n\n"

    assert violations_of(client, sent, EVENTS) == []


@pytest.mark.conformance
@pytest.mark.parametrize("client", NODE_CLIENTS)
@pytest.mark.parametrize(
    ("name", "data"), [*WRONG_EVENTS.values(), ("thread.unknown", THREAD)], ids=[*WRONG_EVENTS, "unknown"]
)
def test_node_notices_in_a_stream_what_is(client: str, name: str, data: dict[str, Any]) -> None:
    [(operation, violation)] = violations_of(client, event_of(name, data), EVENTS)

    assert operation == "assistants.retrieve"
    assert violation.startswith("OpenAI.Beta.AssistantStreamEvent: ")


def answer(body: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, json=body, headers={"x-request-id": f"req_{'0' * 32}"})


def checked_stream() -> tuple[CheckedStream, list[str]]:
    found: list[str] = []
    return CheckedStream(wrong_in, found), found


def event_of(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def node_violations(client: str, body: dict[str, Any]) -> Any:
    return violations_of(client, json.dumps(body), JSON)


def violations_of(client: str, body: str, content_type: str) -> Any:
    command = [str(node_program("node")), "--input-type=module", "--eval", READ_ONE]
    ended = subprocess.run(
        [*command, str(node_modules(client)), body, content_type],
        cwd=NODE_PROGRAM.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(ended.stdout)
