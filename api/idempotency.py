"""`Idempotency-Key`: a repeated request has no further effect and gets the response of the first one."""

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fastapi import Request
from sqlalchemy import Connection

from api.large_bodies import off_the_loop
from infra.database import idempotency
from infra.database.engine import Database
from models.wire import WireObject

Answer = TypeVar("Answer", bound=WireObject)

API_PREFIX = "/v1"
CANONICAL = json.JSONEncoder(sort_keys=True)


class Idempotency:
    """A request's one transaction. With a key, its response is stored in the same commit and returned to repeats."""

    def __init__(self, database: Database, project_id: str, key: str | None, fingerprint: str) -> None:
        self._database = database
        self._project_id = project_id
        self._key = key
        self._fingerprint = fingerprint

    async def run(self, kind: type[Answer], work: Callable[[Connection], Answer]) -> Answer:
        """Run `work` in a transaction, unless the request is a repeat.

        Raises the errors of `work`, and `IdempotencyKeyReused`.
        """
        if self._key is None:
            return await self._database.write(work)
        return await self._database.write(self._with_key, self._key, kind, work)

    def _with_key(
        self, connection: Connection, key: str, kind: type[Answer], work: Callable[[Connection], Answer]
    ) -> Answer:
        before = idempotency.answered(connection, self._project_id, key, self._fingerprint)
        if before is not None:
            return kind.model_validate_json(before)
        answer = work(connection)
        idempotency.remember(connection, self._project_id, key, answer.model_dump_json(by_alias=True))
        return answer


async def fingerprint_of(request: Request) -> str:
    """The same for a path with and without `/v1`, and for bodies that differ only in the order of their keys."""
    path = API_PREFIX + request.url.path.removeprefix(API_PREFIX)
    body = [await request.json()] if await request.body() else []
    # Not in the body any more: see `AssistantsRoute`.
    file_ids = getattr(request.state, "v1_file_ids", None)
    body += [] if file_ids is None else [file_ids]
    return await off_the_loop(request, _fingerprint, f"{request.method} {path}\n", body)


def _fingerprint(what: str, bodies: Sequence[Any]) -> str:
    digest = hashlib.sha256(what.encode())
    for body in bodies:
        # In pieces: `dumps` keeps the GIL until it has written the whole body.
        for piece in CANONICAL.iterencode(body):
            digest.update(piece.encode())
    return digest.hexdigest()
