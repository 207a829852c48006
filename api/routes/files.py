"""`/files`. No beta header is asked for."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from api.dependencies import Cursor, DatabaseDep, IdempotencyKey, ObjectStoreDep, ProjectDep, ResourcesDep
from api.downloads import download, requested_range
from api.idempotency import Idempotency
from api.multipart import FormRoute
from api.problems import shortened
from api.received_files import FileForm, discard, missing, received_file
from api.validation import first_error
from infra.database import files
from infra.database.files import StoredFile
from infra.object_store.errors import ObjectMissing
from infra.ports import ObjectStore
from models.errors import InvalidRequest
from models.file_errors import ContentLost, DownloadNotAllowed, UnsupportedPurpose
from models.files import (
    MAX_FILENAME_LENGTH,
    MAX_LISTED_FILES,
    UPLOAD_PURPOSES,
    DeletedFile,
    File,
    FileExpiry,
    Purpose,
    bare_filename,
    expiry_of,
)
from models.ids import FileId, new_file_id
from models.lists import Order, Page, PageRequest
from models.stored_objects import KeyPrefix, object_key

router = APIRouter(prefix="/files", tags=["Files"], route_class=FormRoute)

ANCHOR, SECONDS = "expires_after[anchor]", "expires_after[seconds]"
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": list(UPLOAD_PURPOSES)},
                        ANCHOR: {"type": "string", "enum": ["created_at"]},
                        SECONDS: {"type": "integer"},
                    },
                }
            }
        },
    }
}


@router.post("", operation_id="createFile", openapi_extra=FORM)
async def create_file(
    request: Request, resources: ResourcesDep, project: ProjectDep, idempotency_key: IdempotencyKey = None
) -> File:
    file_id = new_file_id()
    key = object_key(KeyPrefix.FILE, file_id)
    form = FileForm("file", FIELDS, resources.settings.max_file_bytes)
    async with received_file(request, resources.object_store, key, form) as received:
        purpose = _purpose(received.fields.get("purpose"))
        expiry = expiry_of(purpose, _expiry(received.fields))
        stored = StoredFile(file_id, _filename(received.filename), purpose, received.size, expiry)
        once = Idempotency(resources.database, project, idempotency_key, received.fingerprint("createFile"))
        file = await once.run(File, lambda connection: files.create(connection, project, stored))
    if file.id != file_id:
        # The answer of a request that was the same.
        await discard(resources.object_store, key)
    return file


@router.get("", operation_id="listFiles", response_model=Page[File])
async def list_files(
    database: DatabaseDep,
    project: ProjectDep,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED_FILES)] = MAX_LISTED_FILES,
    order: Order = Order.DESC,
    after: Cursor = None,
    purpose: str | None = None,
) -> Response:
    page = PageRequest(limit, order, after)
    # In the database's thread: ten thousand files are a tenth of a second of work.
    content = await database.read(
        lambda connection: files.list_page(connection, project, page, purpose).model_dump_json()
    )
    return Response(content, media_type="application/json")


@router.get("/{file_id}", operation_id="retrieveFile")
async def retrieve_file(file_id: FileId, database: DatabaseDep, project: ProjectDep) -> File:
    return await database.read(files.load, project, file_id)


@router.delete("/{file_id}", operation_id="deleteFile")
async def delete_file(
    file_id: FileId, database: DatabaseDep, store: ObjectStoreDep, project: ProjectDep
) -> DeletedFile:
    key = await database.write(files.remove, project, file_id)
    await discard(store, key)
    return DeletedFile(id=file_id)


@router.get("/{file_id}/content", operation_id="downloadFile", response_class=Response)
async def download_file(request: Request, file_id: FileId, resources: ResourcesDep, project: ProjectDep) -> Response:
    file = await resources.database.read(files.load, project, file_id)
    if not resources.settings.may_download(file.purpose):
        raise DownloadNotAllowed(file.purpose)
    etag = f'"{file.id}"'
    part = requested_range(request, file.bytes, etag)
    content = await _begun(resources.object_store, file_id, part)
    return download(content, file.filename, file.bytes, etag, part)


async def _begun(store: ObjectStore, file_id: str, part: tuple[int, int] | None) -> AsyncGenerator[bytes, None]:
    """The bytes, of which the first are there already: an error comes before the answer. Raises `ContentLost`."""
    first, last = part or (0, None)
    content = store.get(object_key(KeyPrefix.FILE, file_id), first, last)
    try:
        piece = await anext(content, b"")
    except ObjectMissing as error:
        raise ContentLost(file_id) from error

    async def rest() -> AsyncGenerator[bytes, None]:
        async with aclosing(content):
            if piece:
                yield piece
            async for following in content:
                yield following

    return rest()


def _purpose(given: str | None) -> Purpose:
    if given is None:
        raise missing("purpose")
    if given not in UPLOAD_PURPOSES:
        raise UnsupportedPurpose(shortened(given), UPLOAD_PURPOSES)
    return Purpose(given)


def _anything(_: str) -> None:
    """For what is checked together with other fields."""


def _expiry(fields: Any) -> FileExpiry | None:
    given = {name: fields[field] for name, field in (("anchor", ANCHOR), ("seconds", SECONDS)) if field in fields}
    if not given:
        return None
    seconds = given.get("seconds", "")
    number = {"seconds": int(seconds)} if seconds.isascii() and seconds.isdigit() and len(seconds) < 20 else {}
    try:
        return FileExpiry.model_validate(given | number)
    except ValidationError as error:
        raise first_error(
            [{**each, "loc": ("body", "expires_after", *each["loc"])} for each in error.errors()]
        ) from None


def _filename(given: str) -> str:
    name = bare_filename(given)
    if len(name) > MAX_FILENAME_LENGTH:
        raise InvalidRequest(
            f"Invalid 'file': file name too long. Expected a string with maximum length {MAX_FILENAME_LENGTH}, but got "
            f"a string with length {len(name)} instead.",
            "file",
            "string_above_max_length",
        )
    return name


FIELDS = {"purpose": _purpose, ANCHOR: _anything, SECONDS: _anything}
