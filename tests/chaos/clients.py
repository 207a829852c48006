"""A client that never gives up: it repeats requests as the SDKs do, and creates with an `Idempotency-Key`."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import httpx

from tests.sse import Sent, events_of

TIMEOUT_SECONDS = 40
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.2, 2.0
RETRIED = frozenset({408, 409, 429})


class Refused(Exception):
    """The server says no: asking again would not help."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
        self.status = answer.status_code


class PatientClient:
    """`tally` counts responses that were lost or temporary refusals, by kind."""

    def __init__(self, urls: Sequence[str], seed: int) -> None:
        self._urls = urls
        self._next = count()
        self._random = random.Random(f"client-{seed}")
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        self._http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, limits=limits)
        self.tally: Counter[str] = Counter()

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str) -> Any:
        return await self._until_answered("GET", path, None, {})

    async def post(self, path: str, body: Any, key: str) -> Any:
        """Raises `Refused`."""
        return await self._until_answered("POST", path, body, {"idempotency-key": key})

    async def delete(self, path: str) -> None:
        """Raises `Refused`, but for what is gone: the answer to an earlier try may be lost."""
        try:
            await self._until_answered("DELETE", path, None, {})
        except Refused as refusal:
            if refusal.status != httpx.codes.NOT_FOUND:
                raise

    @asynccontextmanager
    async def stream(self, path: str, body: Any = None, key: str = "") -> AsyncIterator[AsyncIterator[Sent]]:
        """The events of one try. Raises `Refused`, or `httpx.TransportError` where it breaks or does not begin."""
        method, headers = ("POST", {"idempotency-key": key}) if body else ("GET", {})
        async with self._http.stream(method, self._url(path), json=body, headers=headers) as answer:
            if answer.status_code != httpx.codes.OK:
                await answer.aread()
                self._check(answer)
                raise httpx.RemoteProtocolError(answer.text)
            yield events_of(answer)

    async def wait(self, tries: int) -> None:
        longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**tries)
        await asyncio.sleep(self._random.uniform(longest / 2, longest))

    async def _until_answered(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        tries = 0
        while True:
            try:
                answer = await self._http.request(method, self._url(path), json=body, headers=headers)
                if self._check(answer):
                    return answer.json()
            except httpx.TransportError as error:
                self.tally[type(error).__name__] += 1
            await self.wait(tries)
            tries += 1

    def _check(self, answer: httpx.Response) -> bool:
        """Whether the answer is one. Raises `Refused`."""
        if answer.is_success:
            return True
        if answer.status_code not in RETRIED and not answer.is_server_error:
            raise Refused(answer)
        self.tally[f"HTTP {answer.status_code}"] += 1
        return False

    def _url(self, path: str) -> str:
        return f"{self._urls[next(self._next) % len(self._urls)]}/v1{path}"
