"""Files and sounds of messages in the one form that litellm reads for each provider: base64, with a media type.

litellm itself takes more: it fetches `https:` and `gs:` addresses, and reads fields that OpenAI's API does not have.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NoReturn

from infra.language_model.beyond_the_port import not_taken
from models.files import media_type_of
from models.language_model import MediaPart, ModelRequest, PromptItem, UserTurn

DATA_URL = re.compile(r"data:(?P<type>[\w.+-]{1,127}/[\w.+-]{1,127})(?:;[\w.+-]+=[^;,]*)*;base64,", re.ASCII)
FORMAT = re.compile(r"[\w-]+", re.ASCII)


def with_media_for_litellm(request: ModelRequest) -> ModelRequest:
    """The same request with its `MediaPart`s in litellm's form. Raises `PromptRejected` for another form of data."""
    if not any(media_of(request)):
        return request
    return replace(request, prompt=tuple(_item(item, request.model) for item in request.prompt))


def media_of(request: ModelRequest) -> Iterator[MediaPart]:
    for item in request.prompt if request.chat else ():
        if isinstance(item, UserTurn):
            yield from (part for part in item.content if isinstance(part, MediaPart))


def payload_of(part: MediaPart) -> str:
    """The base64 of a part in litellm's form."""
    match part.content:
        case {"file": {"file_data": url}}:
            return str(url).rpartition(",")[2]
    return str(part.content["input_audio"]["data"])


def _item(item: PromptItem, model: str) -> PromptItem:
    if not isinstance(item, UserTurn):
        return item
    content = tuple(_Reader(part, model).read() if isinstance(part, MediaPart) else part for part in item.content)
    return UserTurn(content, item.name)


class _Reader:
    def __init__(self, part: MediaPart, model: str) -> None:
        self._part, self._model = part, model

    def read(self) -> MediaPart:
        kind = self._part.content["type"]
        given = self._part.content[kind]
        read = self._file(given) if kind == "file" else self._sound(given)
        return replace(self._part, content={"type": kind, kind: read})

    def _file(self, file: Mapping[str, Any]) -> dict[str, Any]:
        self._refuse_others(file, "file", {"file_data", "filename"})
        name, given = file.get("filename"), file.get("file_data")
        if name is not None and not isinstance(name, str):
            self._refuse("file.filename")
        if not isinstance(given, str):
            self._refuse("file.file_data")
        url = DATA_URL.match(given)
        media_type = url["type"] if url else media_type_of(name or "")
        payload = given[url.end() :] if url else given
        if media_type is None or not _is_base64(payload):
            self._refuse("file.file_data", ": it is neither a data: URL in base64 nor base64 with a telling filename")
        named = {} if name is None else {"filename": name}
        return {"file_data": f"data:{media_type};base64,{payload}", **named}

    def _sound(self, sound: Mapping[str, Any]) -> dict[str, Any]:
        self._refuse_others(sound, "input_audio", {"data", "format"})
        payload, kind = sound.get("data"), sound.get("format")
        if not isinstance(payload, str) or not _is_base64(payload):
            self._refuse("input_audio.data", ": it is not base64")
        if not isinstance(kind, str) or not FORMAT.fullmatch(kind):
            self._refuse("input_audio.format")
        return {"data": payload, "format": kind}

    def _refuse_others(self, given: Mapping[str, Any], name: str, known: set[str]) -> None:
        for other in given.keys() - known:
            if given[other] is not None:
                self._refuse(f"{name}.{other}")

    def _refuse(self, name: str, why: str = "") -> NoReturn:
        raise not_taken(f"{self._part.field}.{name}", self._model, why)


def _is_base64(text: str) -> bool:
    try:
        return bool(b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False
