import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from infra.language_model.litellm_kept import FieldNotTaken, Kept, keeping
from infra.language_model.litellm_loading import load_litellm
from infra.language_model.litellm_sent_requests import check_sent

PAYLOAD = "JVBERi0xLjQK"
PART, SECOND, NAMED, CALL = (
    "messages[0].content[1]",
    "messages[0].content[2]",
    "messages[0].name",
    "messages[1].tool_calls",
)
FILE, NAMES, CUSTOM = Kept(parts={PART: PAYLOAD}), Kept(names=("ada", "bob"), named=NAMED), Kept(custom=CALL)
TWICE = Kept(parts={PART: PAYLOAD, SECOND: PAYLOAD})
OPENAIS, OTHER = "http://127.0.0.1:1/v1/chat/completions", "http://127.0.0.1:1/v1/messages"
RESPONSES, URL = "http://127.0.0.1:1/v1/responses", f"data:application/pdf;base64,{PAYLOAD}"


async def pieces() -> AsyncIterator[bytes]:
    yield PAYLOAD.encode()


def posted(url: str, body: Any) -> httpx.Request:
    return httpx.Request("POST", url, json=body)


def messages(*names: str) -> Any:
    return {"messages": [{"role": "user", "content": "Hi", "name": name} for name in names]}


@pytest.mark.parametrize(
    ("kept", "request_"),
    [
        (FILE, posted(OTHER, {"data": PAYLOAD})),
        (FILE, posted(OPENAIS, {"file_data": URL})),
        (TWICE, posted(OTHER, [{"text": PAYLOAD}, {"data": PAYLOAD}, {"bytes": PAYLOAD}])),
        (FILE, posted(RESPONSES, {"type": "input_file", "file_data": URL})),
        (NAMES, posted(OPENAIS, messages("ada", "bob"))),
        (CUSTOM, posted(OPENAIS, {})),
        # Those of images and tokens, which precede the call's.
        (FILE, httpx.Request("GET", OTHER)),
        (FILE, httpx.Request("POST", OTHER, data={"grant_type": "jwt"})),
    ],
)
def test_request_with_all_of_the_call_is_sent(kept: Kept, request_: httpx.Request) -> None:
    with keeping(kept):
        check_sent(request_)


@pytest.mark.parametrize(
    ("kept", "request_", "place"),
    [
        (FILE, posted(OTHER, {"data": ""}), PART),
        # A part in OpenAI's form, and one that is described in a text.
        (FILE, posted(OTHER, {"file": {"file_data": URL}}), PART),
        (FILE, posted(OTHER, {"input_audio": {"data": PAYLOAD}}), PART),
        (FILE, posted(OTHER, {"text": json.dumps({"data": PAYLOAD})}), PART),
        (FILE, posted(OTHER, {"text": str({"data": PAYLOAD})}), PART),
        (FILE, posted(OTHER, [{"text": PAYLOAD}, {"content": PAYLOAD}, {"text": f"It is {PAYLOAD}"}]), PART),
        (FILE, posted(RESPONSES, {"input_audio": {"data": PAYLOAD}}), PART),
        # One of two equal parts.
        (TWICE, posted(OTHER, {"data": PAYLOAD}), SECOND),
        (FILE, httpx.Request("POST", OTHER, content=pieces()), PART),
        (NAMES, httpx.Request("POST", OPENAIS, content=pieces()), NAMED),
        (NAMES, posted(OPENAIS, messages("ada")), NAMED),
        (NAMES, posted(OPENAIS, {"input": []}), NAMED),
        (NAMES, posted(OTHER, messages("ada", "bob")), NAMED),
        (NAMES, httpx.Request("POST", OTHER, data={"inputs": "Hi"}), NAMED),
        (CUSTOM, posted(OTHER, {}), CALL),
    ],
)
def test_request_that_lacks_a_part_of_the_call_is_not_sent(kept: Kept, request_: httpx.Request, place: str) -> None:
    with keeping(kept), pytest.raises(FieldNotTaken) as refused:
        check_sent(request_)

    assert refused.value.name == place


def test_requests_of_blocking_adapters_are_looked_at() -> None:
    load_litellm()
    from litellm.llms.custom_httpx.http_handler import HTTPHandler

    with keeping(FILE), pytest.raises(FieldNotTaken):
        HTTPHandler().post(OTHER, json={})
