"""Bodies that are not JSON, or JSON that must not reach the database."""

import json

import httpx
import pytest

from api.json_bodies import MAX_BODY_BYTES, NOT_JSON, NOT_UNICODE
from infra.language_model.scripted import SCRIPTED_MODEL
from tests.api.envelope import assert_error

pytestmark = pytest.mark.any_database

JSON = {"Content-Type": "application/json"}
NUL = "string contains the null character, which is not supported."


@pytest.mark.parametrize(
    "content",
    [
        b'{"metadata": ',
        b'{"metadata": {},}',
        b"{'metadata': {}}",
        b"{} {}",
        b"not json",
        b" ",
        b"\x00",
        b"\xef\xbb\xbf{}",
        b'{"metadata": NaN}',
        b'{"metadata": -Infinity}',
        b'{"metadata": {"k": "\\ud800"}}',
        b'{"metadata": {"\\udc00": "v"}}',
        b"[" * 10_000,
        b'{"a":' * 1_000 + b"1" + b"}" * 1_000,
        b'{"metadata": ' + b"9" * 5_000 + b"}",
    ],
)
async def test_body_that_is_not_json_is_rejected(http: httpx.AsyncClient, content: bytes) -> None:
    response = await http.post("/v1/threads", content=content, headers=JSON)

    assert_error(response, 400, NOT_JSON, code="invalid_request_error")


async def test_body_that_is_not_unicode_is_rejected(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/threads", content=b'{"metadata": {"k": "\xff"}}', headers=JSON)

    assert_error(response, 400, NOT_UNICODE, code="invalid_request_error")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": [{"role": "user", "content": "a\0b"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "\0"}]}]}, "messages[0].content[0].text"),
        ({"metadata": {"k": "\0"}}, "metadata.k"),
        ({"metadata": {"k\0": "v"}}, "metadata.k\\u0000"),
        ({"\0": 1}, "\\u0000"),
    ],
)
async def test_error_names_position_of_null_character(
    http: httpx.AsyncClient, body: dict[str, object], param: str
) -> None:
    response = await http.post("/v1/threads", json=body)

    assert_error(response, 400, f"Invalid '{param}': {NUL}", param, "invalid_value")


async def test_escaped_backslash_before_u0000_is_accepted(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/threads", json={"metadata": {"k": "\\u0000"}})

    assert response.json()["metadata"] == {"k": "\\u0000"}


@pytest.mark.parametrize("content", [b"", b"null", b"{}", b"[]"])
async def test_empty_bodies_are_accepted(http: httpx.AsyncClient, content: bytes) -> None:
    response = await http.post("/v1/threads", content=content, headers=JSON)

    assert response.json()["object"] == "thread"


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 400 + ".0"])
async def test_schema_rejects_number_beyond_a_double(http: httpx.AsyncClient, number: str) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"maximum": 0}}}
    body = json.dumps({"model": SCRIPTED_MODEL, "tools": [tool]}).replace(": 0", f": {number}")

    response = await http.post("/v1/assistants", content=body, headers=JSON)

    path = "tools[0].function.parameters.maximum"
    assert_error(response, 400, f"Invalid '{path}': number is out of range.", path, "invalid_value")


async def test_decimal_field_rejects_integer_beyond_a_double(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/assistants", json={"model": SCRIPTED_MODEL, "temperature": 10**400})

    assert response.status_code == 400
    assert response.json()["error"]["param"] == "temperature"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", ""]
)
async def test_other_content_types_are_rejected(http: httpx.AsyncClient, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}

    response = await http.post("/v1/threads", content=b"{}", headers=headers)

    expected = (
        f"Unsupported content type: '{content_type}'. This API method only accepts 'application/json' requests, but "
        f"you specified the header 'Content-Type: {content_type}'. Please try again with a supported content type."
    )
    assert_error(response, 400, expected, code="unsupported_content_type")


async def test_deepest_accepted_schema_is_returned(http: httpx.AsyncClient) -> None:
    deep: dict[str, object] = {}
    for _ in range(150):
        deep = {"items": deep}
    tool = {"type": "function", "function": {"name": "f", "parameters": deep}}

    created = await http.post("/v1/assistants", json={"model": SCRIPTED_MODEL, "tools": [tool]})

    assert created.status_code == 200
    assert json.dumps(created.json()["tools"][0]["function"]["parameters"]) == json.dumps(deep)


async def test_too_large_body_is_rejected(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/threads", content=b"x" * (MAX_BODY_BYTES + 1), headers=JSON)

    message = f"The request's body is too large: at most {MAX_BODY_BYTES} bytes are taken."
    assert_error(response, 413, message, code="body_too_large")
