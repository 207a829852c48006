"""Asks a search engine that answers in JSON, and says its refusals in words for the model."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from infra.web.errors import SearchFailed

TIMEOUT = timedelta(seconds=15)
"""For the whole answer, however slowly it comes."""

MAX_ANSWER_BYTES = 4 * 1024 * 1024
NO_ANSWER = "The search engine does not answer."
RATE_LIMITED = "The search engine refuses more searches for now."
REFUSED = "The search engine refuses this server, whose operator has to look after it (status {status})."
FAILED = "The search engine failed (status {status})."
UNREADABLE = "The search engine answered in a form that is not understood."

Answer = TypeVar("Answer", bound=BaseModel)


@asynccontextmanager
async def open_engine(url: str, headers: dict[str, str] | None = None) -> AsyncIterator["JsonEngine"]:
    async with httpx.AsyncClient(timeout=TIMEOUT.total_seconds(), headers=headers) as client:
        yield JsonEngine(client, url)


class JsonEngine:
    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url

    async def ask(self, kind: type[Answer], method: str = "GET", **request: Any) -> Answer:
        """Raises `SearchFailed`."""
        try:
            async with (
                asyncio.timeout(TIMEOUT.total_seconds()),
                self._client.stream(method, self._url, **request) as response,
            ):
                if not response.is_success:
                    raise SearchFailed(_refusal(response.status_code))
                return kind.model_validate_json(await _content(response))
        except (httpx.TransportError, TimeoutError) as error:
            raise SearchFailed(NO_ANSWER) from error
        except (httpx.DecodingError, ValidationError) as error:
            raise SearchFailed(UNREADABLE) from error


def _refusal(status: int) -> str:
    match status:
        case 429:
            return RATE_LIMITED
        case 401 | 402 | 403:
            return REFUSED.format(status=status)
    return FAILED.format(status=status)


async def _content(response: httpx.Response) -> bytes:
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > MAX_ANSWER_BYTES:
            raise SearchFailed(UNREADABLE)
    return bytes(content)
