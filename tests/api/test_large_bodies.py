"""Bodies that could block the event loop: their values are counted before parsing, and they are parsed in pieces."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic_core import from_json

from api import large_bodies
from api.json_bodies import MAX_BODY_BYTES
from api.large_bodies import LARGE_BYTES, MAX_TEXT_BYTES, MAX_VALUES, parse_large
from models.errors import BodyTooComplex
from tests.api.envelope import assert_error, assert_refused
from tests.holdfast import RunningHoldfast

pytestmark = pytest.mark.any_database

# It is 30 ms on a machine that does nothing else; tests share theirs.
LONGEST_GAP_SECONDS = 0.5
TRIES = 3
HEARTBEAT_SECONDS = 0.001
TOO_MANY_VALUES = f"The request's body has too many values: at most {MAX_VALUES} are taken."
PIECES = [
    *('"', "\\", "\\\\", '\\"', "a", "é", "😀", "\\n", "\\u0000", "\\u00e9", "\\ud83d", "\\ude00", "ud83d", "\\u00"),
    *(",", "[", "]", "{", "}", ":", "1", "2.5", "true", " ", '"\\u00001"', '"abcdef"', '"key":', "NaN", '""'),
]


def _filled(begin: str, item: str, end: str, size: int = MAX_BODY_BYTES) -> bytes:
    room = size - len((begin + end).encode())
    return (begin + item * (room // len(item.encode())) + end).encode()


# Built when they are sent: together they are half a gigabyte.
HOSTILE: dict[str, Callable[[], bytes]] = {
    "numbers": lambda: _filled('{"metadata":[', "0,", "0]}"),
    "objects": lambda: _filled('{"metadata":[', "{},", "0]}"),
    "texts": lambda: _filled('{"metadata":[', '"",', "0]}"),
    "keys": lambda: b"{" + b",".join(b'"%x":0' % number for number in range(MAX_BODY_BYTES // 12)) + b"}",
    "nested": lambda: _filled("", "[", ""),
    "spaces": lambda: _filled('{"metadata":', " ", "0}"),
    "digits": lambda: _filled('{"metadata":[', "9" * 4000 + ",", "0]}"),
    "colons": lambda: _filled("{", '"":', "0}"),
    "one-text": lambda: _filled('{"metadata":"', "a😀", '"}'),
    "escapes": lambda: _filled('{"metadata":"', "\\n", '"}'),
    "backslashes": lambda: _filled('{"metadata":"', "\\", '"}'),
    "unended": lambda: _filled('{"metadata":"', "a", ""),
    "long-texts": lambda: _filled('{"messages":[', '{"role":"user","content":"' + "é" * 3_000_000 + '"},', "0]}"),
    "messages": lambda: _filled('{"messages":[', "{},", "{}]}", 3 * MAX_VALUES // 2),
    "message-numbers": lambda: _filled('{"messages":[', "0,", "0]}", 2 * MAX_VALUES),
    "small-messages": lambda: _filled('{"messages":[', "{},", "{}]}", LARGE_BYTES),
    "pairs": lambda: b'{"metadata":{' + b",".join(b'"%x":0' % number for number in range(MAX_VALUES - 9)) + b"}}",
    "unknown-fields": lambda: b"{" + b",".join(b'"%x":0' % number for number in range(MAX_VALUES - 9)) + b"}",
}


@asynccontextmanager
async def _longest_gap(gaps: list[float]) -> AsyncIterator[None]:
    """Adds the longest time for which the event loop did not come round while the block ran.

    Of this process, whose threads share one GIL: other processes may have the processor meanwhile.
    """
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            began = time.process_time()
            await asyncio.sleep(HEARTBEAT_SECONDS)
            longest = max(longest, time.process_time() - began)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        gaps.append(longest)


def _post(url: str, content: bytes, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(url, content=content, headers={"Content-Type": "application/json", **headers}, timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("beta", ["v1", "v2"])
@pytest.mark.parametrize("shape", HOSTILE)
async def test_rejected_body_does_not_block_event_loop(holdfast: RunningHoldfast, shape: str, beta: str) -> None:
    headers = {"OpenAI-Beta": f"assistants={beta}", "Idempotency-Key": "hostile"}
    content, gaps = HOSTILE[shape](), list[float]()

    for _ in range(TRIES):
        async with _longest_gap(gaps):
            # In a thread, so that the client's work is not counted as the server's.
            response = await asyncio.to_thread(_post, f"{holdfast.url}/v1/threads", content, headers)
        assert_refused(response)
        if gaps[-1] < LONGEST_GAP_SECONDS:
            break

    assert min(gaps) < LONGEST_GAP_SECONDS


@pytest.mark.slow
async def test_a_large_body_that_is_taken_does_not_keep_the_event_loop_either(holdfast: RunningHoldfast) -> None:
    texts = ["é\\n" * 10_000] * 50
    body = ('{"messages":[' + ",".join(f'{{"role":"user","content":"{text}"}}' for text in texts) + "]}").encode()
    gaps: list[float] = []

    for attempt in range(TRIES):
        key = {"Idempotency-Key": f"large-{attempt}"}
        async with _longest_gap(gaps):
            response = await asyncio.to_thread(_post, f"{holdfast.url}/v1/threads", body, key)
        assert response.status_code == 200, response.text
        if gaps[-1] < LONGEST_GAP_SECONDS:
            break
    again = await asyncio.to_thread(_post, f"{holdfast.url}/v1/threads", body, key)

    assert again.json() == response.json()
    page = await holdfast.client.beta.threads.messages.list(response.json()["id"], limit=1)
    assert [part.text.value for part in page.data[0].content if part.type == "text"] == ["é\n" * 10_000]
    assert min(gaps) < LONGEST_GAP_SECONDS


async def test_too_many_values_are_refused(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/threads", json={"metadata": [0] * (LARGE_BYTES // 2)})

    assert_error(response, 400, TOO_MANY_VALUES, code="body_too_complex")


async def test_too_long_string_is_rejected(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/threads", json={"metadata": "a" * (MAX_TEXT_BYTES + large_bodies.STEP_BYTES)})

    message = f"The request's body has a string that is too long: at most {MAX_TEXT_BYTES} bytes are taken."
    assert_error(response, 400, message, code="body_too_complex")


@pytest.mark.parametrize(
    ("path", "body", "param", "limit"),
    [
        ("/v1/threads", {"messages": [{"role": "user", "content": "a"}] * 1001}, "messages", 1000),
        (
            "/v1/threads",
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 101}]},
            "messages[0].content",
            100,
        ),
        (
            "/v1/threads/thread_x/messages",
            {
                "role": "user",
                "content": "a",
                "attachments": [{"file_id": "file-a", "tools": [{"type": "file_search"}]}] * 101,
            },
            "attachments",
            100,
        ),
        (
            "/v1/threads/thread_x/messages",
            {
                "role": "user",
                "content": "a",
                "attachments": [{"file_id": "file-a", "tools": [{"type": "file_search"}] * 11}],
            },
            "attachments[0].tools",
            10,
        ),
        (
            "/v1/threads/thread_x/runs",
            {"assistant_id": "asst_x", "additional_messages": [{"role": "user", "content": "a"}] * 1001},
            "additional_messages",
            1000,
        ),
        (
            "/v1/threads/thread_x/runs/run_x/submit_tool_outputs",
            {"tool_outputs": [{"tool_call_id": "call_x"}] * 1001},
            "tool_outputs",
            1000,
        ),
    ],
)
async def test_lists_are_bounded(
    http: httpx.AsyncClient, path: str, body: dict[str, Any], param: str, limit: int
) -> None:
    response = await http.post(path, json=body)

    error = assert_refused(response)
    assert (error["param"], error["code"]) == (param, "array_above_max_length")
    assert f"Expected an array with maximum length {limit}" in error["message"]


async def test_error_names_one_of_many_unknown_fields(http: httpx.AsyncClient) -> None:
    body = {"metadata": {}, **{f"field{number}": 0 for number in range(1000)}}

    response = await http.post("/v1/threads", json=body)

    assert_error(response, 400, "Unknown parameter: 'field0'.", "field0", "unknown_parameter")


def _outcome(parse: Any, content: bytes) -> object:
    try:
        return json.dumps(parse(content))
    except UnicodeDecodeError:
        return UnicodeDecodeError
    except ValueError:
        return ValueError


@pytest.mark.parametrize("step_bytes", [6, 7, 9, 13])
def test_parsing_in_pieces_equals_parsing_whole_body(monkeypatch: pytest.MonkeyPatch, step_bytes: int) -> None:
    monkeypatch.setattr(large_bodies, "LONG_TEXT_BYTES", 4)
    monkeypatch.setattr(large_bodies, "STEP_BYTES", step_bytes)
    chance = random.Random(step_bytes)
    taken = 0
    for _ in range(10_000):
        text = "".join(chance.choices(PIECES, k=chance.randint(1, 12)))
        content = (text if chance.random() < 0.3 else f'{{"k":["{text}"]}}').encode()
        if chance.random() < 0.05:
            content = content[: chance.randint(0, len(content))] + b"\xff"

        whole = _outcome(lambda given: from_json(given.decode(), allow_inf_nan=False), content)

        assert _outcome(parse_large, content) == whole, content
        taken += isinstance(whole, str)
    assert taken > 1000


def test_as_many_values_as_are_taken() -> None:
    assert len(parse_large(b"[" + b"0," * (MAX_VALUES - 1) + b"0]")) == MAX_VALUES
    with pytest.raises(BodyTooComplex):
        parse_large(b"[" + b"0," * MAX_VALUES + b"0]")
