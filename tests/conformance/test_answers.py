"""The strict reading of answers notices what the SDKs let pass."""

import json
import subprocess
from typing import Any

import httpx
import pytest
from openai.types.beta import Assistant

from tests.conformance.clients import CLIENTS, NODE_PROGRAM, NodeClient
from tests.conformance.environments import node_modules, node_program
from tests.conformance.python_program.checked_client import violations

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
const [modules, json] = process.argv.slice(1);
const headers = { "x-request-id": `req_${"0".repeat(32)}` };
globalThis.fetch = async () => new Response(json, { headers });
const answers = new Answers("http://holdfast/v1");
answers.operation = "assistants.retrieve";
await answers.fetch("http://holdfast/v1/assistants/asst_1", { method: "get" });
process.stdout.write(JSON.stringify(answers.violations(modules)));
"""

WRONG = {
    "missing": {name: value for name, value in ASSISTANT.items() if name != "model"},
    "null": {**ASSISTANT, "model": None},
    "of another type": {**ASSISTANT, "created_at": "1"},
    "of another literal": {**ASSISTANT, "object": "helper"},
    "wrong within": {**ASSISTANT, "tools": [{"type": "function", "function": {"description": "nameless"}}]},
}


def test_python_lets_fields_pass_that_the_sdk_does_not_know() -> None:
    assert violations(Assistant, answer(ASSISTANT)) == []


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_python_notices_field_that_is(body: dict[str, Any]) -> None:
    assert violations(Assistant, answer(body)) != []


def test_python_notices_missing_request_id() -> None:
    [violation] = violations(Assistant, httpx.Response(200, json=ASSISTANT))

    assert "x-request-id" in violation


@pytest.mark.parametrize("client", NODE_CLIENTS)
def test_node_lets_fields_pass_that_the_sdk_does_not_know(client: str) -> None:
    assert node_violations(client, ASSISTANT) == []


@pytest.mark.parametrize("client", NODE_CLIENTS)
@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_node_notices_field_that_is(client: str, body: dict[str, Any]) -> None:
    [(operation, violation)] = node_violations(client, body)

    assert operation == "assistants.retrieve"
    assert violation.startswith("OpenAI.Beta.Assistant: ")


def answer(body: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, json=body, headers={"x-request-id": f"req_{'0' * 32}"})


def node_violations(client: str, body: dict[str, Any]) -> Any:
    command = [str(node_program("node")), "--input-type=module", "--eval", READ_ONE]
    arguments = [str(node_modules(client)), json.dumps(body)]
    told = subprocess.run(
        [*command, *arguments], cwd=NODE_PROGRAM.parent, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(told.stdout)
