"""Uploads: create, add parts, complete, cancel."""

from typing import Any

from tests.conformance.python_program.scenarios import Sdk, equal, has, has_dated_id, has_file_id, operation


@operation("uploads.create")
def create(sdk: Sdk) -> None:
    upload = upload_of(sdk, 10)

    has_dated_id(upload, "upload")
    has(upload, object="upload", bytes=10, filename="leave.md", purpose="assistants", status="pending")
    equal(upload.file, None)


@operation("uploads.add_part")
def add_part(sdk: Sdk) -> None:
    upload = upload_of(sdk, 10)

    part = sdk.uploads.parts.create(upload.id, data=b"0123456789")

    has_dated_id(part, "part")
    has(part, object="upload.part", upload_id=upload.id)


@operation("uploads.complete")
def complete(sdk: Sdk) -> None:
    upload = upload_of(sdk, 10)
    last, first = (sdk.uploads.parts.create(upload.id, data=data) for data in (b"6789", b"012345"))

    completed = sdk.uploads.complete(upload.id, part_ids=[first.id, last.id], md5="781e5e245d69b566979b86e28d23f2c7")

    has(completed, id=upload.id, status="completed")
    has_file_id(completed.file)
    has(completed.file, object="file", bytes=10, filename="leave.md", purpose="assistants", status="processed")
    equal(sdk.files.retrieve(completed.file.id), completed.file)


@operation("uploads.cancel")
def cancel(sdk: Sdk) -> None:
    upload = upload_of(sdk, 10)

    has(sdk.uploads.cancel(upload.id), id=upload.id, object="upload", status="cancelled")


def upload_of(sdk: Sdk, size: int) -> Any:
    return sdk.uploads.create(filename="leave.md", purpose="assistants", bytes=size, mime_type="text/markdown")
