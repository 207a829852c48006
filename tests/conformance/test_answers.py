"""The strict check of answers reports deviations that the SDKs accept."""

import json
import subprocess
from functools import cache
from typing import Any

import httpx
import pytest
from openai.types.beta import Assistant
from openai.types.vector_stores import VectorStoreFileBatch

from tests.conformance.clients import CLIENTS, NODE_PROGRAM, NodeClient
from tests.conformance.environments import node_modules, node_program
from tests.conformance.python_program.checked_client import violations, wrong_in
from tests.conformance.python_program.checked_stream import CheckedStream

pytestmark = [
    # One group, so that each SDK's answers are compiled once.
    pytest.mark.xdist_group("conformance-answers"),
    # It may be the first to install Node and an SDK for it.
    pytest.mark.timeout(900),
]

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
# Gives `Answers` each of the answers, as if a server had sent them. Each run of the compiler reads the whole SDK.
READ_ALL = """
import { text } from "node:stream/consumers";
import { Answers } from "./answers.mjs";
const [modules] = process.argv.slice(1);
const answers = new Answers("http://holdfast/v1");
for (const [operation, body, type] of JSON.parse(await text(process.stdin))) {
  const headers = { "x-request-id": `req_${"0".repeat(32)}`, "content-type": type };
  globalThis.fetch = async () => new Response(body, { headers });
  answers.operation = operation;
  await answers.fetch("http://holdfast/v1/assistants/asst_1", { method: "get" });
}
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


def event_of(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


# Bodies and their media types.
RIGHT_ANSWERS = {
    "fields that the SDK does not know": (json.dumps(ASSISTANT), JSON),
    "events": (event_of("thread.created", THREAD) + ": keepalive\n\n" + "event: done\ndata: [DONE]\n\n", EVENTS),
}
WRONG_ANSWERS = {
    **{f"field that is {name}": (json.dumps(body), JSON) for name, body in WRONG.items()},
    **{f"event that is {name}": (event_of(*event), EVENTS) for name, event in WRONG_EVENTS.items()},
    "event that is unknown": (event_of("thread.unknown", THREAD), EVENTS),
}


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
def test_node_lets_fields_and_events_pass_that_the_sdk_knows_or_may_ignore(client: str) -> None:
    assert [(operation, said) for operation, said in violations_of(client) if operation in RIGHT_ANSWERS] == []


@pytest.mark.conformance
@pytest.mark.parametrize("client", NODE_CLIENTS)
@pytest.mark.parametrize("name", WRONG_ANSWERS)
def test_node_notices(client: str, name: str) -> None:
    [violation] = [said for operation, said in violations_of(client) if operation == name]

    expected = "Assistant" if WRONG_ANSWERS[name][1] == JSON else "AssistantStreamEvent"
    assert violation.startswith(f"OpenAI.Beta.{expected}: ")


def answer(body: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, json=body, headers={"x-request-id": f"req_{'0' * 32}"})


def checked_stream() -> tuple[CheckedStream, list[str]]:
    found: list[str] = []
    return CheckedStream(wrong_in, found), found


@cache
def violations_of(client: str) -> list[tuple[str, str]]:
    """Of the answers below, by the name of each."""
    given = [(name, *answer) for name, answer in (RIGHT_ANSWERS | WRONG_ANSWERS).items()]
    ended = subprocess.run(
        [str(node_program("node")), "--input-type=module", "--eval", READ_ALL, str(node_modules(client))],
        cwd=NODE_PROGRAM.parent,
        input=json.dumps(given),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [(operation, violation) for operation, violation in json.loads(ended.stdout)]
