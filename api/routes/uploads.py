"""`/uploads`: files that arrive in parts. No beta header is asked for."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request

from api.dependencies import DatabaseDep, IdempotencyDep, IdempotencyKey, ObjectStoreDep, ProjectDep, ResourcesDep
from api.idempotency import Idempotency
from api.json_bodies import JsonRoute
from api.multipart import FormRoute
from api.received_files import FileForm, discard, discarded_where_failed, received_file
from infra.clock import now_seconds
from infra.database import uploads
from infra.database.files import StoredFile
from infra.database.uploads import Assembly
from infra.object_store.errors import ObjectMissing
from infra.ports import ObjectStore
from models.file_errors import ContentLost, UploadMismatch
from models.ids import Prefix, UploadId, new_dated_id, new_file_id
from models.stored_objects import KeyPrefix, object_key
from models.uploads import MAX_PART_BYTES, CompleteUploadRequest, CreateUploadRequest, Upload, UploadPart

router = APIRouter(prefix="/uploads", tags=["Uploads"], route_class=JsonRoute)
parts_router = APIRouter(prefix="/uploads", tags=["Uploads"], route_class=FormRoute)

PART_FORM = FileForm("data", {}, MAX_PART_BYTES)
PART_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["data"],
                    "properties": {"data": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


@router.post("", operation_id="createUpload")
async def create_upload(project: ProjectDep, idempotency: IdempotencyDep, body: CreateUploadRequest) -> Upload:
    return await idempotency.run(Upload, lambda connection: uploads.create(connection, project, body))


@parts_router.post("/{upload_id}/parts", operation_id="addUploadPart", openapi_extra=PART_BODY)
async def add_upload_part(
    request: Request,
    upload_id: UploadId,
    database: DatabaseDep,
    store: ObjectStoreDep,
    project: ProjectDep,
    idempotency_key: IdempotencyKey = None,
) -> UploadPart:
    await database.read(uploads.check_pending, project, upload_id)
    part_id = new_dated_id(Prefix.UPLOAD_PART, now_seconds())
    key = object_key(KeyPrefix.UPLOAD_PART, part_id)
    async with received_file(request, store, key, PART_FORM) as received:
        once = Idempotency(database, project, idempotency_key, received.fingerprint(f"addUploadPart {upload_id}"))
        part = await once.run(
            UploadPart,
            lambda connection: uploads.add_part(connection, project, upload_id, part_id, received.size),
        )
    if part.id != part_id:
        # The answer of a request that was the same.
        await discard(store, key)
    return part


@router.post("/{upload_id}/complete", operation_id="completeUpload")
async def complete_upload(
    upload_id: UploadId, resources: ResourcesDep, project: ProjectDep, body: CompleteUploadRequest
) -> Upload:
    """A request that is sent again, of the same parts, gets the same answer."""
    database, store = resources.database, resources.object_store
    plan = await database.read(uploads.assembly, project, upload_id, body.part_ids)
    if isinstance(plan, Upload):
        return plan
    file_id = new_file_id()
    key = object_key(KeyPrefix.FILE, file_id)
    try:
        size = await store.put(key, _joined(store, plan, body.md5))
    except ObjectMissing as error:
        # Another request was faster, or the upload has expired: then this is the answer.
        found = await database.read(uploads.assembly, project, upload_id, body.part_ids)
        if isinstance(found, Upload):
            return found
        raise ContentLost(upload_id) from error
    stored = StoredFile(file_id, plan.filename, plan.purpose, size, plan.expires_after_seconds)
    async with discarded_where_failed(store, key):
        upload = await database.write(uploads.complete, project, upload_id, plan.part_ids, stored)
    if upload.file is None or upload.file.id != file_id:
        await discard(store, key)
    return upload


@router.post("/{upload_id}/cancel", operation_id="cancelUpload")
async def cancel_upload(upload_id: UploadId, database: DatabaseDep, project: ProjectDep) -> Upload:
    """The bytes of its parts are deleted within a minute."""
    return await database.write(uploads.cancel, project, upload_id)


async def _joined(store: ObjectStore, plan: Assembly, md5: str | None) -> AsyncGenerator[bytes, None]:
    """The bytes of all parts. Streamed, as S3 itself joins no parts below 5 MiB. Raises `UploadMismatch` at the end."""
    digest = hashlib.md5(usedforsecurity=False)
    for part_id in plan.part_ids:
        async with aclosing(store.get(object_key(KeyPrefix.UPLOAD_PART, part_id))) as content:
            async for piece in content:
                if md5 is not None:
                    digest.update(piece)
                yield piece
    if md5 is not None and digest.hexdigest() != md5.lower():
        raise UploadMismatch.of_digests(digest.hexdigest(), md5)
