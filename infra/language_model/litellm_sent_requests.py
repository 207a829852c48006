"""litellm's requests, compared with the messages: it leaves out names, and parts that it does not know, without a word.

It does not say which of its adapters do. So each request is looked at before it is sent.
"""

import json
import re
from typing import Any

import httpx

from infra.language_model.litellm_kept import FieldNotTaken, Kept, kept_of_call

FORM = "application/x-www-form-urlencoded"
"""Of requests for tokens, which have a grant type, and of prompts to Petals."""

OPENAIS_PATH = "/chat/completions"
UNTRANSLATED = re.compile(rb'("file_data":\s*"data:[^"]*|(?P<sound>)"input_audio":\s*\{\s*"data":\s*")$')
"""Before the base64 of a part in OpenAI's form, which no other API takes."""

AS_DATA = re.compile(rb'(?<!"text)(?<!"content)":\s*"(data:[^",]*,)?$')
"""Before the base64 of a part in any form, and not in the text of a message."""

RESPONSES_PATH = "/responses"
"""Of the API of OpenAI's that has files in the same field."""

LONGEST_BEGINNING = 300


def check_sent(request: httpx.Request) -> None:
    """Raise `FieldNotTaken` for a part of the call in progress that `request` lacks."""
    kept = kept_of_call()
    if not (kept.parts or kept.names or kept.custom) or request.method != "POST":
        return
    body, is_openais = _body(request, kept), request.url.path.endswith(OPENAIS_PATH)
    if b"grant_type" in body and request.headers.get("content-type", "").startswith(FORM):
        return
    if kept.custom and not is_openais:
        raise FieldNotTaken(kept.custom)
    position = 0
    for place, payload in kept.parts.items():
        # Parts keep their order. Thousands of searches from the beginning would block the event loop for seconds.
        at = _position_of(payload, body, position)
        if at < 0 or not (is_openais or _is_translated(body, at, request.url.path)):
            raise FieldNotTaken(place)
        position = at + len(payload)
    if kept.names and not (is_openais and _names_in(body) == kept.names):
        raise FieldNotTaken(kept.named)


def _body(request: httpx.Request, kept: Kept) -> bytes:
    try:
        return request.content
    except httpx.RequestNotRead as error:
        raise FieldNotTaken(next(iter(kept.parts), kept.named or kept.custom)) from error


def _position_of(payload: str, body: bytes, start: int) -> int:
    # With the end of the JSON string: not within a text that describes the part.
    sought = f'{payload}"'.encode()
    while (at := body.find(sought, start)) >= 0 and not AS_DATA.search(body, max(at - LONGEST_BEGINNING, 0), at):
        start = at + len(sought)
    return at


def _is_translated(body: bytes, at: int, path: str) -> bool:
    found = UNTRANSLATED.search(body, max(at - LONGEST_BEGINNING, 0), at)
    return found is None or (found["sound"] is None and path.endswith(RESPONSES_PATH))


def _names_in(body: bytes) -> tuple[Any, ...]:
    match json.loads(body):
        case {"messages": [*messages]}:
            given = (message.get("name") for message in messages if isinstance(message, dict))
            return tuple(name for name in given if name is not None)
    return ()
