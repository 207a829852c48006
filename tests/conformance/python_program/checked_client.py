"""The SDK's own client, with every answer checked against the class into which the SDK reads it."""

import re
from functools import cache
from typing import Any

from openai import AzureOpenAI, OpenAI
from openai._legacy_response import HttpxBinaryResponseContent
from pydantic import BaseModel, TypeAdapter, ValidationError

from tests.conformance.python_program.checked_stream import CheckedStream

REQUEST_ID = re.compile(r"req_[0-9a-f]{32}")
MAX_VIOLATIONS_TOLD = 3

DIFFERENT_AT_OPENAI = re.compile(
    r"VectorStoreFileBatch\.object: Input should be 'vector_store.files_batch'"
    r"|(VectorStore|\w+\[VectorStore\]\.data\.\d+)\.name: Input should be a valid string"
)
"""Violations that OpenAI's own answers have: it sends `vector_store.file_batch`, and null for a store without a name.

The scenarios check these values.
"""


class CheckedClient(OpenAI):
    """Reads answers as `OpenAI` does, which checks nothing, and keeps the violations that a strict check finds."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._violations: list[str] = []
        self.last_stream: CheckedStream | None = None

    def take_violations(self) -> list[str]:
        """The violations since the last call, each once."""
        taken, self._violations = self._violations, []
        return list(dict.fromkeys(taken))

    def _process_response(self, **how: Any) -> Any:
        if how["stream"]:
            self._check_while_read(how["response"])
        else:
            self._violations += violations(how["cast_to"], how["response"])
        return super()._process_response(**how)

    def _check_while_read(self, response: Any) -> None:
        self.last_stream = CheckedStream(wrong_in, self._violations)
        self._violations += missing_request_id(response)
        chunks, checked = response.iter_bytes, self.last_stream.checked
        # Every release reads a stream through it.
        response.iter_bytes = lambda: map(checked, chunks())


class CheckedAzureClient(CheckedClient, AzureOpenAI):
    """The same for `AzureOpenAI`."""


def violations(expected: Any, response: Any) -> list[str]:
    """How the answer differs from what the class `expected` requires. Only unknown fields are accepted."""
    found = missing_request_id(response)
    if not (isinstance(expected, type) and issubclass(expected, BaseModel)):
        if expected is HttpxBinaryResponseContent:
            return found
        return [*found, f"the SDK reads {response.url} as {expected}, which cannot be checked"]
    return [*found, *wrong_in(expected, response.content)]


def wrong_in(expected: type[BaseModel], text: str | bytes) -> list[str]:
    """How the JSON `text` differs from what the class requires."""
    try:
        _adapter(expected).validate_json(text, strict=True)
    except ValidationError as error:
        wrong = [f"{_path(expected, each['loc'])}: {each['msg']}" for each in error.errors(include_url=False)]
        return [each for each in wrong if not DIFFERENT_AT_OPENAI.fullmatch(each)][:MAX_VIOLATIONS_TOLD]
    return []


def missing_request_id(response: Any) -> list[str]:
    return [] if has_request_id(response) else ["x-request-id is not as it was"]


def has_request_id(response: Any) -> bool:
    return REQUEST_ID.fullmatch(response.headers.get("x-request-id", "")) is not None


@cache
def _adapter(expected: type[BaseModel]) -> TypeAdapter[BaseModel]:
    return TypeAdapter(expected)


def _path(expected: type[BaseModel], location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, (expected.__name__, *location)))
