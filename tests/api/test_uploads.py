"""`/uploads` over HTTP: parts in any order and number, and what does not make the file."""

import asyncio
import hashlib
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from infra.database.file_tables import UPLOADS
from models.ids import new_file_id
from models.stored_objects import KeyPrefix, object_key
from models.uploads import MAX_PART_BYTES, MAX_UPLOAD_BYTES
from tests.api.test_files import FORM_TYPE, error_of, field, file_part, form, stored_keys
from tests.database import writing
from tests.holdfast import RunningHoldfast

PARTS = [bytes([number]) * size for number, size in enumerate([300_000, 1, 70_000])]
WHOLE = b"".join(PARTS)


async def upload(http: httpx.AsyncClient, size: int = len(WHOLE), **fields: Any) -> dict[str, Any]:
    body = {"filename": "a.bin", "purpose": "vision", "bytes": size, "mime_type": "application/octet-stream", **fields}
    answer = await http.post("/v1/uploads", json=body)
    assert answer.status_code == 200, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def add(http: httpx.AsyncClient, upload_id: str, content: bytes, **headers: str) -> httpx.Response:
    body = form(file_part(content, 'filename="upload"', "data"))
    return await http.post(f"/v1/uploads/{upload_id}/parts", content=body, headers={**FORM_TYPE, **headers})


async def add_all(http: httpx.AsyncClient, upload_id: str) -> list[str]:
    """At once, the last one first. Returns their ids in the order of the file."""
    answers = await asyncio.gather(*(add(http, upload_id, part) for part in reversed(PARTS)))
    return [answer.json()["id"] for answer in reversed(answers)]


async def complete(http: httpx.AsyncClient, upload_id: str, part_ids: list[str], **fields: Any) -> httpx.Response:
    return await http.post(f"/v1/uploads/{upload_id}/complete", json={"part_ids": part_ids, **fields})


def keys_of(part_ids: list[str]) -> set[str]:
    return {object_key(KeyPrefix.UPLOAD_PART, part_id) for part_id in part_ids}


async def test_becomes_a_file_of_its_parts_in_their_order(http: httpx.AsyncClient) -> None:
    created = await upload(http)
    part_ids = await add_all(http, created["id"])

    completed = (await complete(http, created["id"], part_ids, md5=hashlib.md5(WHOLE).hexdigest().upper())).json()

    assert "file" not in created
    assert created.items() >= {"object": "upload", "status": "pending", "bytes": len(WHOLE)}.items()
    assert created["expires_at"] == created["created_at"] + 3600
    file = completed["file"]
    assert completed == created | {"status": "completed", "file": file}
    assert (file["filename"], file["bytes"], file["purpose"]) == ("a.bin", len(WHOLE), "vision")
    assert (await http.get(f"/v1/files/{file['id']}")).json() == file
    assert (await http.get(f"/v1/files/{file['id']}/content")).content == WHOLE


async def test_a_part_says_its_upload(http: httpx.AsyncClient) -> None:
    created = await upload(http)

    part = (await add(http, created["id"], b"x")).json()

    assert part["id"].startswith("part_")
    assert (part["object"], part["upload_id"]) == ("upload.part", created["id"])


async def test_may_leave_parts_out(http: httpx.AsyncClient) -> None:
    created = await upload(http, 2)
    parts = [(await add(http, created["id"], content)).json()["id"] for content in (b"1", b"2", b"3")]

    completed = await complete(http, created["id"], [parts[2], parts[0]])

    content = await http.get(f"/v1/files/{completed.json()['file']['id']}/content")
    assert content.content == b"31"


async def test_an_empty_upload_is_an_empty_file(http: httpx.AsyncClient) -> None:
    created = await upload(http, 0)

    completed = (await complete(http, created["id"], [])).json()

    assert completed["file"]["bytes"] == 0


async def test_the_file_expires_as_the_upload_says(http: httpx.AsyncClient) -> None:
    created = await upload(http, 0, expires_after={"anchor": "created_at", "seconds": 3600})

    file = (await complete(http, created["id"], [])).json()["file"]

    assert file["expires_at"] == file["created_at"] + 3600


async def test_completing_again_gives_the_same_answer(holdfast: RunningHoldfast, http: httpx.AsyncClient) -> None:
    before = set(await stored_keys(holdfast))
    created = await upload(http)
    part_ids = await add_all(http, created["id"])

    at_once = await asyncio.gather(*(complete(http, created["id"], part_ids) for _ in range(3)))
    later = await complete(http, created["id"], part_ids)
    otherwise = await complete(http, created["id"], part_ids[::-1])

    assert {answer.status_code for answer in at_once} == {200}
    assert {answer.text for answer in at_once} == {later.text}
    assert error_of(otherwise)["message"] == "Cannot complete upload with status 'completed'."
    made = [key for key in await stored_keys(holdfast) if key.startswith(KeyPrefix.FILE) and key not in before]
    assert made == [object_key(KeyPrefix.FILE, later.json()["file"]["id"])]


async def test_refuses_parts_that_do_not_make_the_file(holdfast: RunningHoldfast, http: httpx.AsyncClient) -> None:
    created = await upload(http)
    part_ids = await add_all(http, created["id"])
    stranger = (await add(http, (await upload(http))["id"], b"x")).json()["id"]
    before = await stored_keys(holdfast)

    too_few = await complete(http, created["id"], part_ids[:2])
    unknown = await complete(http, created["id"], [part_ids[0], stranger])
    corrupt = await complete(http, created["id"], part_ids, md5="0" * 32)
    malformed = await complete(http, created["id"], part_ids, md5="nonsense")

    assert error_of(too_few)["message"] == (
        "Invalid 'part_ids': the parts have 300001 bytes together, but the upload was created for 370001."
    )
    error = error_of(unknown)
    assert error["message"] == f"Invalid 'part_ids[1]': the upload has no part with id '{stranger}'."
    assert error["param"] == "part_ids[1]"
    assert error_of(corrupt)["message"] == (
        f"Invalid 'md5': the parts together have the checksum {hashlib.md5(WHOLE).hexdigest()}, but {'0' * 32} was "
        "expected."
    )
    assert error_of(malformed)["param"] == "md5"
    assert await stored_keys(holdfast) == before
    assert (await complete(http, created["id"], part_ids)).status_code == 200


async def test_a_cancelled_upload_takes_nothing_more(http: httpx.AsyncClient) -> None:
    created = await upload(http)
    part_ids = await add_all(http, created["id"])

    cancelled = await http.post(f"/v1/uploads/{created['id']}/cancel")

    assert cancelled.json() == created | {"status": "cancelled"}
    for answer, action in [
        (await add(http, created["id"], b"x"), "add a part to"),
        (await complete(http, created["id"], part_ids), "complete"),
        (await http.post(f"/v1/uploads/{created['id']}/cancel"), "cancel"),
    ]:
        assert error_of(answer)["message"] == f"Cannot {action} upload with status 'cancelled'."


async def test_an_upload_expires(holdfast: RunningHoldfast, http: httpx.AsyncClient) -> None:
    created = await upload(http)
    with writing(holdfast.resources.database) as connection:
        connection.execute(update(UPLOADS).where(UPLOADS.c.id == created["id"]).values(expires_at=1))

    for answer, action in [
        (await add(http, created["id"], b"x"), "add a part to"),
        (await complete(http, created["id"], []), "complete"),
        (await http.post(f"/v1/uploads/{created['id']}/cancel"), "cancel"),
    ]:
        assert error_of(answer)["message"] == f"Cannot {action} upload with status 'expired'."


async def test_a_repeated_part_is_added_once(holdfast: RunningHoldfast, http: httpx.AsyncClient) -> None:
    created = await upload(http)
    key = {"Idempotency-Key": new_file_id()}

    first, again = [await add(http, created["id"], b"content", **key) for _ in range(2)]
    other = await add(http, created["id"], b"another", **key)

    assert again.json() == first.json()
    assert error_of(other)["code"] == "idempotency_key_reused"
    assert keys_of([first.json()["id"]]) <= await stored_keys(holdfast)


async def test_an_unknown_upload_is_not_found(http: httpx.AsyncClient) -> None:
    for answer in (
        await add(http, "upload_x", b"x"),
        await complete(http, "upload_x", []),
        await http.post("/v1/uploads/upload_x/cancel"),
    ):
        assert error_of(answer, 404)["message"] == "No upload found with id 'upload_x'."
    assert error_of(await add(http, "file-x", b"x"))["message"] == (
        "Invalid 'upload_id': 'file-x'. Expected an ID that begins with 'upload'."
    )


@pytest.mark.any_database
async def test_refuses_parts_that_are_too_large(http: httpx.AsyncClient) -> None:
    created = await upload(http, MAX_PART_BYTES)

    allowed = await add(http, created["id"], bytes(MAX_PART_BYTES))
    refused = await add(http, created["id"], bytes(MAX_PART_BYTES + 1))

    assert allowed.status_code == 200
    error = error_of(refused, 413)
    assert (error["param"], error["code"]) == ("data", "file_too_large")
    assert error["message"] == "Invalid 'data': it is too large. At most 67108864 bytes are taken."


@pytest.mark.any_database
async def test_refuses_other_fields(http: httpx.AsyncClient) -> None:
    created = await upload(http)
    url = f"/v1/uploads/{created['id']}/parts"

    unknown = await http.post(url, content=form(field("x", "y")), headers=FORM_TYPE)
    missing = await http.post(url, content=form(), headers=FORM_TYPE)

    assert error_of(unknown)["message"] == "Unknown parameter: 'x'."
    assert error_of(missing)["message"] == "Missing required parameter: 'data'."


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"bytes": MAX_UPLOAD_BYTES + 1},
            "Invalid 'bytes': integer above maximum value. Expected a value <= 8589934592, but got 8589934593 instead.",
        ),
        ({"filename": None}, "Invalid type for 'filename': expected a string, but got null instead."),
        (
            {"purpose": "x"},
            "Invalid value: 'x'. Supported values are: 'fine-tune', 'assistants', 'batch', 'user_data', 'vision', and "
            "'evals'.",
        ),
        ({"colour": 1}, "Unknown parameter: 'colour'."),
    ],
)
async def test_refuses_to_create(http: httpx.AsyncClient, fields: dict[str, Any], message: str) -> None:
    body = {"filename": "a", "purpose": "vision", "bytes": 1, "mime_type": "text/plain", **fields}

    error = error_of(await http.post("/v1/uploads", json=body))

    assert error["message"] == message
