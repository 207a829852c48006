"""Invalid paths, methods, ids and query values get a 4xx in the error envelope."""

import httpx
import pytest

from tests.api.conftest import FinishedRun
from tests.api.envelope import assert_error, assert_refused

pytestmark = pytest.mark.any_database

VALUE = "invalid_value"
THREAD = "/v1/threads/thread_x"
RUN = f"{THREAD}/runs/run_x"


@pytest.mark.parametrize(
    ("method", "path", "param", "prefix"),
    [
        ("GET", "/v1/assistants/{}", "assistant_id", "asst"),
        ("POST", "/v1/assistants/{}", "assistant_id", "asst"),
        ("DELETE", "/v1/assistants/{}", "assistant_id", "asst"),
        ("GET", "/v1/threads/{}", "thread_id", "thread"),
        ("POST", "/v1/threads/{}", "thread_id", "thread"),
        ("DELETE", "/v1/threads/{}", "thread_id", "thread"),
        ("GET", "/v1/threads/{}/messages", "thread_id", "thread"),
        ("GET", "/v1/threads/{}/messages/msg_x", "thread_id", "thread"),
        ("GET", f"{THREAD}/messages/{{}}", "message_id", "msg"),
        ("POST", f"{THREAD}/messages/{{}}", "message_id", "msg"),
        ("DELETE", f"{THREAD}/messages/{{}}", "message_id", "msg"),
        ("GET", f"{THREAD}/messages?run_id={{}}", "run_id", "run"),
        ("GET", "/v1/threads/{}/runs", "thread_id", "thread"),
        ("GET", "/v1/threads/{}/runs/run_x", "thread_id", "thread"),
        ("GET", f"{THREAD}/runs/{{}}", "run_id", "run"),
        ("POST", f"{THREAD}/runs/{{}}", "run_id", "run"),
        ("POST", f"{THREAD}/runs/{{}}/cancel", "run_id", "run"),
        ("GET", f"{THREAD}/runs/{{}}/steps", "run_id", "run"),
        ("GET", f"{RUN}/steps/{{}}", "step_id", "step"),
    ],
)
async def test_id_of_wrong_kind_error_names_expected_prefix(
    http: httpx.AsyncClient, method: str, path: str, param: str, prefix: str
) -> None:
    response = await http.request(method, path.format("undefined"))

    expected = f"Invalid '{param}': 'undefined'. Expected an ID that begins with '{prefix}'."
    assert_error(response, 400, expected, param, VALUE)


@pytest.mark.parametrize("path", ["//v1/threads", "/v1//threads", "//threads"])
async def test_repeated_slashes_count_as_one(http: httpx.AsyncClient, path: str) -> None:
    # A full URL: in a path alone, two leading slashes would begin a host name.
    response = await http.post(f"{http.base_url}".rstrip("/") + path)

    assert (response.status_code, response.json()["object"]) == (200, "thread")


@pytest.mark.parametrize("rest", ["%00", "%20", "%F0%9F%A6%86", "%ff", "'--", ".json", "%0A"])
@pytest.mark.parametrize("path", ["/v1/threads/thread_x{}", f"{THREAD}/messages?after=msg_x{{}}"])
async def test_id_with_invalid_characters_is_rejected(http: httpx.AsyncClient, path: str, rest: str) -> None:
    error = assert_refused(await http.get(path.format(rest)))

    assert error["code"] == VALUE
    assert "Expected an ID that contains letters, numbers, underscores, or dashes" in error["message"]


@pytest.mark.parametrize("path", ["/v1/threads/thread_{}", "/v1/assistants?before=asst_{}", f"{THREAD}/runs/run_{{}}"])
async def test_overlong_id_is_rejected(http: httpx.AsyncClient, path: str) -> None:
    error = assert_refused(await http.get(path.format("x" * 10_000)))

    assert error["code"] == "string_above_max_length"
    assert "string too long. Expected a string with maximum length 64" in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "noun", "missing"),
    [
        ("GET", "/v1/assistants/asst_x", "assistant", "asst_x"),
        ("POST", "/v1/assistants/asst_x", "assistant", "asst_x"),
        ("DELETE", "/v1/assistants/asst_x", "assistant", "asst_x"),
        ("GET", THREAD, "thread", "thread_x"),
        ("POST", THREAD, "thread", "thread_x"),
        ("DELETE", THREAD, "thread", "thread_x"),
        ("GET", f"{THREAD}/messages", "thread", "thread_x"),
        ("GET", f"{THREAD}/messages/msg_x", "thread", "thread_x"),
        ("POST", f"{THREAD}/messages/msg_x", "thread", "thread_x"),
        ("DELETE", f"{THREAD}/messages/msg_x", "thread", "thread_x"),
        ("GET", f"{THREAD}/runs", "thread", "thread_x"),
        ("GET", "{thread}/messages/msg_x", "message", "msg_x"),
        ("POST", "{thread}/messages/msg_x", "message", "msg_x"),
        ("DELETE", "{thread}/messages/msg_x", "message", "msg_x"),
        ("GET", "{thread}/runs/run_x", "run", "run_x"),
        ("POST", "{thread}/runs/run_x", "run", "run_x"),
        ("POST", "{thread}/runs/run_x/cancel", "run", "run_x"),
        ("GET", "{thread}/runs/run_x/steps", "run", "run_x"),
        ("GET", "{thread}/runs/run_x/steps/step_x", "run", "run_x"),
        ("GET", "{thread}/runs/{run}/steps/step_x", "run step", "step_x"),
        ("GET", "/v1/assistants?after=asst_x", "assistant", "asst_x"),
        ("GET", "/v1/assistants?before=msg_x", "assistant", "msg_x"),
        ("GET", "{thread}/messages?after=msg_x", "message", "msg_x"),
        ("GET", "{thread}/runs?after=run_x", "run", "run_x"),
        ("GET", "{thread}/runs/{run}/steps?after=step_x", "run step", "step_x"),
    ],
)
async def test_not_found_error_names_missing_object(
    http: httpx.AsyncClient, finished: FinishedRun, method: str, path: str, noun: str, missing: str
) -> None:
    path = path.format(thread=f"/v1/threads/{finished.thread_id}", run=finished.run_id)

    response = await http.request(method, path)

    assert_error(response, 404, f"No {noun} found with id '{missing}'.")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{THREAD}/messages", {"role": "user", "content": "Hi"}),
        ("POST", f"{THREAD}/runs", {"assistant_id": "asst_x"}),
    ],
)
async def test_create_error_names_missing_thread(
    http: httpx.AsyncClient, method: str, path: str, body: dict[str, str]
) -> None:
    response = await http.request(method, path, json=body)

    assert_error(response, 404, "No thread found with id 'thread_x'.")


async def test_create_run_error_names_missing_assistant(http: httpx.AsyncClient, finished: FinishedRun) -> None:
    body = {"assistant_id": "asst_x"}

    with_thread = await http.post("/v1/threads/runs", json=body)
    on_thread = await http.post(f"/v1/threads/{finished.thread_id}/runs", json=body)

    for response in (with_thread, on_thread):
        assert_error(response, 404, "No assistant found with id 'asst_x'.")


async def test_object_of_another_thread_is_not_found(http: httpx.AsyncClient, finished: FinishedRun) -> None:
    other = (await http.post("/v1/threads")).json()["id"]

    message = await http.get(f"/v1/threads/{other}/messages/{finished.message_id}")
    run = await http.get(f"/v1/threads/{other}/runs/{finished.run_id}")
    step = await http.get(f"/v1/threads/{other}/runs/{finished.run_id}/steps/{finished.step_id}")

    assert_error(message, 404, f"No message found with id '{finished.message_id}'.")
    assert_error(run, 404, f"No run found with id '{finished.run_id}'.")
    assert_error(step, 404, f"No run found with id '{finished.run_id}'.")


@pytest.mark.parametrize(
    ("query", "message", "param", "code"),
    [
        (
            "limit=101",
            "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead.",
            "limit",
            "integer_above_max_value",
        ),
        (
            "limit=0",
            "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0 instead.",
            "limit",
            "integer_below_min_value",
        ),
        (
            "limit=ten",
            "Invalid type for 'limit': expected an integer, but got a string instead.",
            "limit",
            "invalid_type",
        ),
        ("order=up", "Invalid value: 'up'. Supported values are: 'asc' and 'desc'.", "order", VALUE),
    ],
)
async def test_invalid_query_value_is_rejected_with_openais_message(
    http: httpx.AsyncClient, query: str, message: str, param: str, code: str
) -> None:
    assert_error(await http.get(f"/v1/assistants?{query}"), 400, message, param, code)


@pytest.mark.parametrize(
    "query", ["limit=", "limit=1.5", "limit=" + "9" * 5_000, "limit=%00", "order=", "order=%00", "after=%ff"]
)
async def test_malformed_query_value_is_rejected(http: httpx.AsyncClient, query: str) -> None:
    error = assert_refused(await http.get(f"/v1/assistants?{query}"))

    assert error["param"] == query.partition("=")[0]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/nothing"), ("POST", "/nothing"), ("GET", "/v1/threads/thread_x/nothing")]
)
async def test_unknown_url_is_not_found(http: httpx.AsyncClient, method: str, path: str) -> None:
    assert_error(await http.request(method, path), 404, f"Invalid URL ({method} {path})")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/threads/thread_x"),
        ("GET", "/v1/threads/thread_x/runs/run_x/cancel"),
        ("DELETE", "/v1/models/gpt-4o"),
    ],
)
async def test_unsupported_method_is_rejected(http: httpx.AsyncClient, method: str, path: str) -> None:
    response = await http.request(method, path)

    expected = f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)"
    assert_error(response, 405, expected, code="method_not_supported")
    assert response.headers["allow"]
