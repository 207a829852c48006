"""Forms with a file: its bytes go from the connection to the object store, whatever order the fields come in."""

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from fastapi import Request

from api.json_bodies import check_storable
from api.multipart import Part, read_parts
from api.problems import shortened
from infra.background import shielded_until_done
from infra.database.outages import CommitUnknown
from infra.object_store.errors import ObjectStoreUnavailable
from infra.ports import ObjectStore
from models.errors import InvalidRequest
from models.file_errors import FileTooLarge, UploadTooSlow

TIME_LIMIT = timedelta(hours=1)
"""The reconciler removes objects without a row that are older than this by far."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FileForm:
    """What a form may have: a file, and other fields, each with a check that raises `InvalidRequest`."""

    file: str
    fields: Mapping[str, Callable[[str], object]]
    max_bytes: int


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    fields: Mapping[str, str]
    filename: str
    size: int
    digest: str

    def fingerprint(self, operation: str) -> str:
        """The same for a request that is sent again."""
        sent = json.dumps([operation, self.fields, self.filename, self.size, self.digest], sort_keys=True)
        return hashlib.sha256(sent.encode()).hexdigest()


@asynccontextmanager
async def received_file(
    request: Request, store: ObjectStore, key: str, form: FileForm
) -> AsyncGenerator[ReceivedFile, None]:
    """Store the form's file under `key`, for a block that commits its row. Where the block fails, it is deleted.

    Raises `InvalidRequest`, `ObjectStoreUnavailable`, and `ClientDisconnect` where the client leaves before the end.
    """
    receiver = _Receiver(store, key, form, with_digest="idempotency-key" in request.headers)
    async with discarded_where_failed(store, key):
        try:
            async with asyncio.timeout(TIME_LIMIT.total_seconds()):
                received = await receiver.receive(request)
        except TimeoutError as error:
            raise UploadTooSlow(TIME_LIMIT // timedelta(minutes=1)) from error
        yield received


@asynccontextmanager
async def discarded_where_failed(store: ObjectStore, key: str) -> AsyncGenerator[None, None]:
    """Delete the object under `key`, if there is one, where the block that commits its row fails."""
    try:
        yield
    except CommitUnknown:
        # The row may be there: the reconciler finds out.
        raise
    except Exception:
        # Not where the block is cancelled: its commit may be under way.
        await discard(store, key)
        raise


async def discard(store: ObjectStore, key: str) -> None:
    """Delete an object that has no row. Where the store does not answer, the reconciler does."""
    try:
        await shielded_until_done(store.delete(key))
    except ObjectStoreUnavailable as error:
        log.warning("object.discard_failed", extra={"key": key, "reason": error.reason})


class _Receiver:
    def __init__(self, store: ObjectStore, key: str, form: FileForm, with_digest: bool) -> None:
        self._store = store
        self._key = key
        self._form = form
        self._digest = hashlib.sha256() if with_digest else None
        self._fields: dict[str, str] = {}
        self._filename = ""
        self.size: int | None = None
        """Of what was stored; None: nothing was."""

    async def receive(self, request: Request) -> ReceivedFile:
        async for part in read_parts(request):
            self._check_name(part.name)
            if part.name == self._form.file:
                self._filename = part.filename or ""
                check_storable(self._filename, part.name)
                self.size = await self._store.put(self._key, self._content(part))
            else:
                self._fields[part.name] = await self._field(part)
        if self.size is None:
            raise missing(self._form.file)
        digest = self._digest.hexdigest() if self._digest else ""
        return ReceivedFile(self._fields, self._filename, self.size, digest)

    def _check_name(self, name: str) -> None:
        shown = shortened(name)
        if name != self._form.file and name not in self._form.fields:
            raise InvalidRequest(f"Unknown parameter: '{shown}'.", shown, "unknown_parameter")
        if name in self._fields or (name == self._form.file and self.size is not None):
            raise InvalidRequest(f"Invalid '{shown}': it is given more than once.", shown, "invalid_value")

    async def _field(self, part: Part) -> str:
        value = await part.text()
        check_storable(value, part.name)
        self._form.fields[part.name](value)
        return value

    async def _content(self, part: Part) -> AsyncGenerator[bytes, None]:
        size = 0
        async for chunk in part.chunks():
            size += len(chunk)
            if size > self._form.max_bytes:
                raise FileTooLarge(self._form.file, self._form.max_bytes)
            if self._digest:
                self._digest.update(chunk)
            yield chunk


def missing(name: str) -> InvalidRequest:
    return InvalidRequest(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")
