"""litellm's requests, compared with the messages: it leaves out names, and parts that it does not know, without a word.

It does not say which of its adapters do. So each request is looked at before it is sent.
"""

import json
import re
from typing import Any

import httpx

from infra.language_model.litellm_kept import FieldNotTaken, Kept, kept_of_call

FORM = "application/x-www-form-urlencoded"
"""The requests for tokens of some providers."""

OPENAIS_PATH = "/chat/completions"
UNTRANSLATED = re.compile(rb'("file_data":\s*"data:[^"]*|"input_audio":\s*\{\s*"data":\s*")$')
"""Before the base64 of a part in OpenAI's form, which no other API takes."""

LONGEST_BEGINNING = 300


def check_sent(request: httpx.Request) -> None:
    """Raise `FieldNotTaken` for a part of the call in progress that `request` lacks."""
    kept = kept_of_call()
    if not (kept.parts or kept.names or kept.custom) or request.method != "POST":
        return
    if request.headers.get("content-type", "").startswith(FORM):
        return
    body, is_openais = _body(request, kept), request.url.path.endswith(OPENAIS_PATH)
    if kept.custom and not is_openais:
        raise FieldNotTaken(kept.custom)
    for place, payload in kept.parts.items():
        # With the end of the JSON string: not within a text that describes the part.
        at = body.find(f'{payload}"'.encode())
        if at < 0 or not (is_openais or _is_translated(body, at)):
            raise FieldNotTaken(place)
    if kept.names and not (is_openais and _names_in(body) == kept.names):
        raise FieldNotTaken(kept.named)


def _body(request: httpx.Request, kept: Kept) -> bytes:
    try:
        return request.content
    except httpx.RequestNotRead as error:
        raise FieldNotTaken(next(iter(kept.parts), kept.named or kept.custom)) from error


def _is_translated(body: bytes, at: int) -> bool:
    return not UNTRANSLATED.search(body[max(at - LONGEST_BEGINNING, 0) : at])


def _names_in(body: bytes) -> tuple[Any, ...]:
    match json.loads(body):
        case {"messages": [*messages]}:
            given = (message.get("name") for message in messages if isinstance(message, dict))
            return tuple(name for name in given if name is not None)
    return ()
