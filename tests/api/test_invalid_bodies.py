"""The error table of the protocol: for each way a body can be wrong, the text, `param` and code that OpenAI used."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.unsupported_features import SEARCHES_DIFFER
from infra.language_model.scripted import SCRIPTED_MODEL
from models.tool_formats.code_interpreter import NO_SANDBOX
from tests.api.envelope import assert_error

pytestmark = pytest.mark.any_database

UNKNOWN, MISSING, TYPE = "unknown_parameter", "missing_required_parameter", "invalid_type"
VALUE = "invalid_value"
ASSISTANTS, THREADS = "/v1/assistants", "/v1/threads"
MESSAGES, RUNS = "/v1/threads/thread_x/messages", "/v1/threads/thread_x/runs"
THREADS_RUNS, OUTPUTS = "/v1/threads/runs", "/v1/threads/thread_x/runs/run_x/submit_tool_outputs"
FUNCTION = {"type": "function", "function": {"name": "f"}}


def assistant(**fields: Any) -> dict[str, Any]:
    return {"model": SCRIPTED_MODEL, **fields}


def function(**fields: Any) -> dict[str, Any]:
    return assistant(tools=[FUNCTION, {"type": "function", "function": fields}])


def run(**fields: Any) -> dict[str, Any]:
    return {"assistant_id": "asst_x", **fields}


def message(**fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": "Hi", **fields}


def missing(param: str) -> tuple[str, str, str]:
    return f"Missing required parameter: '{param}'.", param, MISSING


def unknown(param: str) -> tuple[str, str, str]:
    return f"Unknown parameter: '{param}'.", param, UNKNOWN


def wrong_type(param: str, expected: str, got: str) -> tuple[str, str, str]:
    return f"Invalid type for '{param}': expected {expected}, but got {got} instead.", param, TYPE


def wrong_value(param: str, value: str, supported: str) -> tuple[str, str, str]:
    return f"Invalid value: '{value}'. Supported values are: {supported}.", param, VALUE


def too_long(param: str, limit: int, length: int) -> tuple[str, str, str]:
    expected = f"Expected a string with maximum length {limit}, but got a string with length {length} instead."
    return f"Invalid '{param}': string too long. {expected}", param, "string_above_max_length"


def array_too_long(param: str, limit: int, length: int) -> tuple[str, str, str]:
    expected = f"Expected an array with maximum length {limit}, but got an array with length {length} instead."
    return f"Invalid '{param}': array too long. {expected}", param, "array_above_max_length"


def out_of_range(param: str, noun: str, side: str, sign: str, bound: float, got: object) -> tuple[str, str, str]:
    value, _, _ = side.partition(" ")
    code = f"{noun}_{value}_{'max' if value == 'above' else 'min'}_value"
    return (
        f"Invalid '{param}': {noun} {side} value. Expected a value {sign} {bound}, but got {got} instead.",
        param,
        code,
    )


MISSING_CASES = [
    (ASSISTANTS, {}, missing("model")),
    (ASSISTANTS, assistant(tools=[{}]), missing("tools[0].type")),
    (ASSISTANTS, assistant(tools=[{"type": "function"}]), missing("tools[0].function")),
    (ASSISTANTS, function(description="?"), missing("tools[1].function.name")),
    (ASSISTANTS, assistant(response_format={"type": "json_schema"}), missing("response_format.json_schema")),
    (MESSAGES, {"content": "Hi"}, missing("role")),
    (MESSAGES, {"role": "user"}, missing("content")),
    (MESSAGES, message(content=[{"type": "image_url", "image_url": {}}]), missing("content[0].image_url.url")),
    (RUNS, {}, missing("assistant_id")),
    (THREADS_RUNS, {}, missing("assistant_id")),
    (THREADS_RUNS, run(thread={"messages": [{"role": "user"}]}), missing("thread.messages[0].content")),
    (RUNS, run(additional_messages=[{"content": "Hi"}]), missing("additional_messages[0].role")),
    (RUNS, run(tool_choice={"type": "function", "function": {}}), missing("tool_choice.function.name")),
    (RUNS, run(expires_after={}), missing("expires_after.seconds")),
    (RUNS, run(truncation_strategy={"type": "last_messages"}), missing("truncation_strategy.last_messages")),
    (OUTPUTS, {}, missing("tool_outputs")),
    (OUTPUTS, {"tool_outputs": [{"output": "x"}]}, missing("tool_outputs[0].tool_call_id")),
]
UNKNOWN_CASES = [
    (ASSISTANTS, assistant(x=1), unknown("x")),
    (ASSISTANTS, assistant(file_ids=[]), unknown("file_ids")),
    (
        ASSISTANTS,
        assistant(tools=[{"type": "function", "function": {"name": "f", "x": 1}}]),
        unknown("tools[0].function.x"),
    ),
    (ASSISTANTS, function(name="f", x=None), unknown("tools[1].function.x")),
    (ASSISTANTS, assistant(tools=[FUNCTION | {"x": 1}]), unknown("tools[0].x")),
    (ASSISTANTS, assistant(**{"<x>": 1}), unknown("<x>")),
    (ASSISTANTS, assistant(**{"y" * 300: 1}), ("Unknown parameter: '" + "y" * 200 + "…'.", "y" * 200 + "…", UNKNOWN)),
    (THREADS, {"title": "x"}, unknown("title")),
    (THREADS, {"messages": [message(name="x")]}, unknown("messages[0].name")),
    (MESSAGES, message(file_ids=["file-x"]), unknown("file_ids")),
    (RUNS, run(truncation_strategy={"type": "auto", "x": 1}), unknown("truncation_strategy.x")),
    (RUNS, run(tool_resources={"x": {}}), unknown("tool_resources.x")),
    (RUNS, run(response_format={"type": "text", "x": 1}), unknown("response_format.x")),
    (THREADS_RUNS, run(additional_instructions="x"), unknown("additional_instructions")),
    ("/v1/threads/thread_x/runs/run_x", {"status": "x"}, unknown("status")),
    ("/v1/threads/thread_x/messages/msg_x", {"content": "x"}, unknown("content")),
]
TYPE_CASES = [
    (ASSISTANTS, {"model": 1}, wrong_type("model", "a string", "an integer")),
    (ASSISTANTS, {"model": None}, wrong_type("model", "a string", "null")),
    (ASSISTANTS, assistant(name=["x"]), wrong_type("name", "a string", "an array")),
    (ASSISTANTS, assistant(instructions={}), wrong_type("instructions", "a string", "an object")),
    (ASSISTANTS, assistant(temperature="hot"), wrong_type("temperature", "a decimal", "a string")),
    (ASSISTANTS, assistant(temperature=True), wrong_type("temperature", "a decimal", "a boolean")),
    (ASSISTANTS, assistant(tools="none"), wrong_type("tools", "an array of objects", "a string")),
    (ASSISTANTS, assistant(tools=["f"]), wrong_type("tools[0]", "an object", "a string")),
    (ASSISTANTS, assistant(tools=[{"type": 1}]), wrong_type("tools[0].type", "a string", "an integer")),
    (
        ASSISTANTS,
        function(name="f", parameters="x"),
        wrong_type("tools[1].function.parameters", "an object", "a string"),
    ),
    (ASSISTANTS, function(name="f", strict="x"), wrong_type("tools[1].function.strict", "a boolean", "a string")),
    (ASSISTANTS, assistant(metadata=[]), wrong_type("metadata", "an object", "an array")),
    (ASSISTANTS, assistant(metadata={"k": 1.5}), wrong_type("metadata.k", "a string", "a decimal number")),
    (ASSISTANTS, assistant(metadata={"k": None}), wrong_type("metadata.k", "a string", "null")),
    (ASSISTANTS, assistant(response_format=1), wrong_type("response_format", "one of 'auto' or object", "an integer")),
    (
        ASSISTANTS,
        assistant(tool_resources={"code_interpreter": {"file_ids": "x"}}),
        wrong_type("tool_resources.code_interpreter.file_ids", "an array of strings", "a string"),
    ),
    (MESSAGES, message(content=1), wrong_type("content", "one of a string or array of objects", "an integer")),
    (MESSAGES, message(content=None), wrong_type("content", "one of a string or array of objects", "null")),
    (
        MESSAGES,
        message(content=[{"type": "text", "text": {"value": "x"}}]),
        wrong_type("content[0].text", "a string", "an object"),
    ),
    (MESSAGES, message(role=1), wrong_type("role", "one of 'user' or 'assistant'", "an integer")),
    (RUNS, run(stream="yes"), wrong_type("stream", "a boolean", "a string")),
    (RUNS, run(max_prompt_tokens=300.0), wrong_type("max_prompt_tokens", "an integer", "a decimal number")),
    (
        RUNS,
        run(tool_choice=7),
        wrong_type("tool_choice", "one of 'none', 'auto', or 'required' or object", "an integer"),
    ),
    (OUTPUTS, {"tool_outputs": {}}, wrong_type("tool_outputs", "an array of objects", "an object")),
    (
        OUTPUTS,
        {"tool_outputs": [{"tool_call_id": "call_x", "output": 1}]},
        wrong_type("tool_outputs[0].output", "a string", "an integer"),
    ),
    (THREADS_RUNS, run(thread="thread_x"), wrong_type("thread", "an object", "a string")),
]
TOOLS = "'code_interpreter', 'function', 'file_search', and 'web_retrieval'"
VALUE_CASES = [
    (ASSISTANTS, assistant(tools=[{"type": "retrieval"}]), wrong_value("tools[0].type", "retrieval", TOOLS)),
    (
        ASSISTANTS,
        assistant(reasoning_effort="huge"),
        wrong_value("reasoning_effort", "huge", "'none', 'minimal', 'low', 'medium', 'high', 'xhigh', and 'max'"),
    ),
    (ASSISTANTS, assistant(response_format="json_object"), wrong_value("response_format", "json_object", "'auto'")),
    (
        ASSISTANTS,
        assistant(response_format={"type": "xml"}),
        wrong_value("response_format.type", "xml", "'json_object', 'json_schema', and 'text'"),
    ),
    (MESSAGES, message(role="system"), wrong_value("role", "system", "'user' and 'assistant'")),
    (
        MESSAGES,
        message(content=[{"type": "audio"}]),
        wrong_value("content[0].type", "audio", "'image_file', 'image_url', and 'text'"),
    ),
    (
        MESSAGES,
        message(content=[{"type": "image_url", "image_url": {"url": "x", "detail": "max"}}]),
        wrong_value("content[0].image_url.detail", "max", "'auto', 'low', and 'high'"),
    ),
    (RUNS, run(tool_choice="any"), wrong_value("tool_choice", "any", "'none', 'auto', and 'required'")),
    (
        RUNS,
        run(truncation_strategy={"type": "middle"}),
        wrong_value("truncation_strategy.type", "middle", "'auto' and 'last_messages'"),
    ),
    (
        RUNS,
        run(truncation_strategy={"type": "auto", "last_messages": 3}),
        (
            "Invalid 'truncation_strategy.last_messages': only allowed when 'type' is 'last_messages'.",
            "truncation_strategy.last_messages",
            VALUE,
        ),
    ),
    (
        ASSISTANTS,
        function(name="f", parameters={"type": "string"}),
        (
            "Invalid schema for function 'f': schema must be a JSON Schema of 'type: \"object\"', "
            "got 'type: \"string\"'.",
            "tools[1].function.parameters",
            "invalid_function_parameters",
        ),
    ),
    (RUNS, run(tool_choice="x" * 300), wrong_value("tool_choice", "x" * 200 + "…", "'none', 'auto', and 'required'")),
]
PATTERN = "string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
LIMIT_CASES = [
    (ASSISTANTS, assistant(temperature=3), out_of_range("temperature", "decimal", "above maximum", "<=", 2, 3)),
    (ASSISTANTS, assistant(temperature=-0.1), out_of_range("temperature", "decimal", "below minimum", ">=", 0, -0.1)),
    (ASSISTANTS, assistant(top_p=1.5), out_of_range("top_p", "decimal", "above maximum", "<=", 1, 1.5)),
    (RUNS, run(max_prompt_tokens=255), out_of_range("max_prompt_tokens", "integer", "below minimum", ">=", 256, 255)),
    (
        RUNS,
        run(max_completion_tokens=0),
        out_of_range("max_completion_tokens", "integer", "below minimum", ">=", 256, 0),
    ),
    (
        RUNS,
        run(max_completion_tokens=2**64),
        out_of_range("max_completion_tokens", "integer", "above maximum", "<=", 2**53 - 1, 2**64),
    ),
    (
        RUNS,
        run(truncation_strategy={"type": "last_messages", "last_messages": 0}),
        out_of_range("truncation_strategy.last_messages", "integer", "below minimum", ">=", 1, 0),
    ),
    (ASSISTANTS, assistant(name="n" * 257), too_long("name", 256, 257)),
    (ASSISTANTS, assistant(description="d" * 513), too_long("description", 512, 513)),
    (ASSISTANTS, assistant(instructions="i" * 256_001), too_long("instructions", 256_000, 256_001)),
    (ASSISTANTS, assistant(metadata={"k": "v" * 513}), too_long("metadata.k", 512, 513)),
    (ASSISTANTS, function(name="f" * 65), too_long("tools[1].function.name", 64, 65)),
    (MESSAGES, message(content="c" * 256_001), too_long("content", 256_000, 256_001)),
    (
        MESSAGES,
        message(content=[{"type": "text", "text": "c" * 256_001}]),
        too_long("content[0].text", 256_000, 256_001),
    ),
    (RUNS, run(additional_instructions="i" * 256_001), too_long("additional_instructions", 256_000, 256_001)),
    (ASSISTANTS, assistant(tools=[FUNCTION] * 129), array_too_long("tools", 128, 129)),
    (RUNS, run(tools=[FUNCTION] * 21), array_too_long("tools", 20, 21)),
    (
        ASSISTANTS,
        {"model": ""},
        (
            "Invalid 'model': empty string. Expected a string with minimum length 1, but got an empty string instead.",
            "model",
            "empty_string",
        ),
    ),
    (
        MESSAGES,
        message(content=[]),
        (
            "Invalid 'content': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "content",
            "empty_array",
        ),
    ),
    (
        THREADS,
        {"metadata": {str(number): "v" for number in range(17)}},
        (
            "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got an object "
            "with 17 properties instead.",
            "metadata",
            "object_above_max_properties",
        ),
    ),
    (
        THREADS,
        {"metadata": {"k" * 65: "v"}},
        (
            f"Invalid property name in 'metadata': '{'k' * 65}' is too long. Expected a string with maximum length 64, "
            "but got a string with length 65 instead.",
            f"metadata.{'k' * 65}",
            "string_above_max_length",
        ),
    ),
    (
        RUNS,
        run(additional_messages=[message(metadata={"k" * 65: "v"})]),
        (
            f"Invalid property name in 'additional_messages[0].metadata': '{'k' * 65}' is too long. Expected a "
            "string with maximum length 64, but got a string with length 65 instead.",
            f"additional_messages[0].metadata.{'k' * 65}",
            "string_above_max_length",
        ),
    ),
    (
        ASSISTANTS,
        function(name="get weather"),
        (f"Invalid 'tools[1].function.name': {PATTERN}", "tools[1].function.name", VALUE),
    ),
    (
        ASSISTANTS,
        function(name="wetter_für"),
        (f"Invalid 'tools[1].function.name': {PATTERN}", "tools[1].function.name", VALUE),
    ),
    (
        ASSISTANTS,
        function(name="f\n"),
        (f"Invalid 'tools[1].function.name': {PATTERN}", "tools[1].function.name", VALUE),
    ),
]
CASES = [*MISSING_CASES, *UNKNOWN_CASES, *TYPE_CASES, *VALUE_CASES, *LIMIT_CASES]


@pytest.mark.parametrize(("path", "body", "error"), CASES, ids=[f"{path}-{error[1][:60]}" for path, _, error in CASES])
async def test_invalid_body_is_rejected_with_openais_message(
    http: httpx.AsyncClient, path: str, body: dict[str, Any], error: tuple[str, str, str]
) -> None:
    response = await http.post(path, json=body)

    message, param, code = error
    assert_error(response, 400, message, param, code)


WITH_CODE = [
    (ASSISTANTS, assistant(tools=[FUNCTION, {"type": "code_interpreter"}]), "tools[1].type"),
    (f"{ASSISTANTS}/asst_x", {"tools": [{"type": "code_interpreter"}]}, "tools[0].type"),
    (RUNS, run(tools=[{"type": "code_interpreter"}]), "tools[0].type"),
    (THREADS_RUNS, run(tools=[{"type": "code_interpreter"}]), "tools[0].type"),
]


@pytest.mark.parametrize(("path", "body", "param"), WITH_CODE)
async def test_code_interpreter_is_refused_by_a_server_without_sandbox(
    http: httpx.AsyncClient, path: str, body: dict[str, Any], param: str
) -> None:
    response = await http.post(path, json=body)

    assert_error(response, 400, NO_SANDBOX, param, "unsupported_parameter")


@pytest.mark.parametrize(("path", "given"), [(ASSISTANTS, assistant), (RUNS, run)])
async def test_searches_with_different_settings_are_rejected(
    http: httpx.AsyncClient, path: str, given: Callable[..., dict[str, Any]]
) -> None:
    few = {"type": "file_search", "file_search": {"max_num_results": 2}}

    response = await http.post(path, json=given(tools=[few, few, {"type": "file_search"}]))

    assert_error(response, 400, SEARCHES_DIFFER, "tools[2]", VALUE)


@pytest.mark.parametrize(
    ("body", "got"), [("[1]", "an array"), ('"x"', "a string"), ("7", "an integer"), ("null", "null")]
)
async def test_body_that_is_not_an_object_is_rejected(http: httpx.AsyncClient, body: str, got: str) -> None:
    response = await http.post(ASSISTANTS, content=body, headers={"Content-Type": "application/json"})

    assert_error(response, 400, f"Invalid body: expected an object, but got {got} instead.", code=TYPE)


@pytest.mark.parametrize("path", [RUNS, THREADS_RUNS])
async def test_malformed_assistant_id_is_rejected(http: httpx.AsyncClient, path: str) -> None:
    response = await http.post(path, json={"assistant_id": "thread_x"})

    expected = "Invalid 'assistant_id': 'thread_x'. Expected an ID that begins with 'asst'."
    assert_error(response, 400, expected, "assistant_id", VALUE)
