"""`/files` over HTTP: forms as clients write them, downloads, lists, and what is refused."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from infra.database.file_tables import FILES
from infra.object_store.directory import INCOMING
from infra.settings import Settings
from models.files import MEBIBYTE, Purpose
from models.ids import new_file_id
from models.stored_objects import KeyPrefix, object_key
from tests.conftest import settings_for
from tests.database import writing
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.scripted_provider import ScriptedProvider

BOUNDARY = "----boundary"
FORM_TYPE = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
CONTENT = bytes(range(256)) * 40


def field(name: str, value: str) -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def file_part(content: bytes = CONTENT, disposition: str = 'filename="data.bin"', name: str = "file") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; {disposition}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


async def post(http: httpx.AsyncClient, *parts: bytes, **headers: str) -> httpx.Response:
    return await http.post("/v1/files", content=form(*parts), headers={**FORM_TYPE, **headers})


async def created(http: httpx.AsyncClient, *parts: bytes, **headers: str) -> dict[str, Any]:
    answer = await post(http, *(parts or (field("purpose", "vision"), file_part())), **headers)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def error_of(answer: httpx.Response, status: int = 400) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    return error


async def stored_keys(holdfast: RunningHoldfast) -> set[str]:
    return {each.key for each in await holdfast.resources.object_store.list_page("", 100_000)}


async def test_answers_with_the_file(http: httpx.AsyncClient) -> None:
    file = await created(http)

    assert (
        file.items()
        >= {
            "object": "file",
            "purpose": "vision",
            "filename": "data.bin",
            "bytes": len(CONTENT),
            "expires_at": None,
            "status": "processed",
            "status_details": None,
        }.items()
    )
    assert file["id"].startswith("file-")
    assert (await http.get(f"/v1/files/{file['id']}")).json() == file


async def test_takes_the_purpose_after_the_file(http: httpx.AsyncClient) -> None:
    file = await created(http, file_part(), field("purpose", "vision"))

    assert file["purpose"] == "vision"
    assert (await http.get(f"/v1/files/{file['id']}/content")).content == CONTENT


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('filename="naïve 日本.md"', "naïve 日本.md"),
        ("filename*=UTF-8''na%C3%AFve%20%E6%97%A5%E6%9C%AC.md", "naïve 日本.md"),
        ("filename=\"fallback.md\"; filename*=UTF-8''na%C3%AFve.md", "naïve.md"),
        ("filename*=UTF-8''na%C3%AFve.md; filename=\"fallback.md\"", "naïve.md"),
        ("filename*=iso-8859-1''na%EFve.md", "naïve.md"),
        ("filename=plain.md", "plain.md"),
        ('filename="a%22b.md"', 'a"b.md'),
        ('filename="a\\"b.md"', 'a"b.md'),
        ('filename="semi;colon.md"', "semi;colon.md"),
        ('filename="../../etc/passwd"', "passwd"),
        ('filename="C:\\\\folder\\\\notes.md"', "notes.md"),
        ('filename=""', "upload"),
        ('filename=".."', "upload"),
        ("x=y", "upload"),
    ],
)
async def test_reads_file_names_in_both_encodings(http: httpx.AsyncClient, disposition: str, filename: str) -> None:
    file = await created(http, field("purpose", "vision"), file_part(b"x", disposition))

    assert file["filename"] == filename


@pytest.mark.parametrize(
    "content",
    [b"", b"\r\n", b"\r\n--" + BOUNDARY.encode()[:-1], b"--" * 5000, CONTENT],
    ids=["empty", "newline", "near", "dashes", "binary"],
)
async def test_keeps_bytes_that_look_like_a_boundary(http: httpx.AsyncClient, content: bytes) -> None:
    file = await created(http, field("purpose", "vision"), file_part(content))

    assert (await http.get(f"/v1/files/{file['id']}/content")).content == content


async def test_reads_a_form_that_comes_byte_by_byte(http: httpx.AsyncClient) -> None:
    body = form(field("purpose", "vision"), file_part(b"some\r\ncontent", 'filename="naïve.md"'))

    async def one_by_one() -> AsyncIterator[bytes]:
        for index in range(len(body)):
            yield body[index : index + 1]

    answer = await http.post("/v1/files", content=one_by_one(), headers=FORM_TYPE)

    assert answer.json()["filename"] == "naïve.md"
    assert (await http.get(f"/v1/files/{answer.json()['id']}/content")).content == b"some\r\ncontent"


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("parts", "message", "param", "code"),
    [
        (
            [field("purpose", "world_domination"), file_part()],
            "'world_domination' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals'] "
            "- 'purpose'",
            "purpose",
            None,
        ),
        (
            [file_part(), field("purpose", "assistants_output")],
            "'assistants_output' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals'] "
            "- 'purpose'",
            "purpose",
            None,
        ),
        ([file_part()], "Missing required parameter: 'purpose'.", "purpose", "missing_required_parameter"),
        ([field("purpose", "vision")], "Missing required parameter: 'file'.", "file", "missing_required_parameter"),
        ([], "Missing required parameter: 'file'.", "file", "missing_required_parameter"),
        (
            [file_part(), field("purpose", "vision"), field("colour", "red")],
            "Unknown parameter: 'colour'.",
            "colour",
            "unknown_parameter",
        ),
        (
            [file_part(), file_part(name="other"), field("purpose", "vision")],
            "Unknown parameter: 'other'.",
            "other",
            "unknown_parameter",
        ),
        (
            [file_part(), file_part(), field("purpose", "vision")],
            "Invalid 'file': it is given more than once.",
            "file",
            "invalid_value",
        ),
        (
            [field("purpose", "vision"), field("purpose", "vision"), file_part()],
            "Invalid 'purpose': it is given more than once.",
            "purpose",
            "invalid_value",
        ),
        (
            [file_part(), field("purpose", "v" * 5000)],
            "Invalid 'purpose': string too long. Expected a string with maximum length 4096.",
            "purpose",
            "string_above_max_length",
        ),
        (
            [file_part(b"x", f'filename="{"n" * 600}"'), field("purpose", "vision")],
            "Invalid 'file': file name too long. Expected a string with maximum length 512, but got a string with "
            "length 600 instead.",
            "file",
            "string_above_max_length",
        ),
        (
            [file_part(b"x", "filename*=UTF-8''a%00b"), field("purpose", "vision")],
            "Invalid 'file': string contains the null character, which is not supported.",
            "file",
            "invalid_value",
        ),
        (
            [file_part(), field("purpose", "vision"), field("expires_after[anchor]", "created_at")],
            "Missing required parameter: 'expires_after.seconds'.",
            "expires_after.seconds",
            "missing_required_parameter",
        ),
        (
            [
                file_part(),
                field("purpose", "vision"),
                field("expires_after[anchor]", "created_at"),
                field("expires_after[seconds]", "3599"),
            ],
            "Invalid 'expires_after.seconds': integer below minimum value. Expected a value >= 3600, but got 3599 "
            "instead.",
            "expires_after.seconds",
            "integer_below_min_value",
        ),
        (
            [
                file_part(),
                field("purpose", "vision"),
                field("expires_after[anchor]", "last_active_at"),
                field("expires_after[seconds]", "3600"),
            ],
            "Invalid value: 'last_active_at'. Supported values are: 'created_at'.",
            "expires_after.anchor",
            "invalid_value",
        ),
        (
            [
                file_part(),
                field("purpose", "vision"),
                field("expires_after[anchor]", "created_at"),
                field("expires_after[seconds]", "soon"),
            ],
            "Invalid type for 'expires_after.seconds': expected an integer, but got a string instead.",
            "expires_after.seconds",
            "invalid_type",
        ),
    ],
)
async def test_refuses_a_form_and_keeps_nothing_of_it(
    holdfast: RunningHoldfast,
    http: httpx.AsyncClient,
    parts: list[bytes],
    message: str,
    param: str,
    code: str | None,
) -> None:
    before = await stored_keys(holdfast)

    error = error_of(await post(http, *parts))

    assert (error["message"], error["param"], error["code"]) == (message, param, code)
    assert await stored_keys(holdfast) == before


@pytest.mark.any_database
async def test_refuses_what_is_no_form(http: httpx.AsyncClient) -> None:
    as_json = await http.post("/v1/files", json={"purpose": "vision"})
    without_boundary = await http.post("/v1/files", content=b"x", headers={"Content-Type": "multipart/form-data"})
    garbage = await http.post("/v1/files", content=b"garbage", headers=FORM_TYPE)
    cut_off = await http.post("/v1/files", content=form(file_part())[:-20], headers=FORM_TYPE)
    nameless = await http.post(
        "/v1/files", content=f"--{BOUNDARY}\r\nX-A: b\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode(), headers=FORM_TYPE
    )

    assert error_of(as_json)["message"].startswith("Invalid Content-Type header (application/json), expected multipart")
    for answer in (without_boundary, garbage, cut_off, nameless):
        assert error_of(answer)["message"] == "Could not parse multipart form"


async def test_keeps_the_expiry(http: httpx.AsyncClient) -> None:
    expiry = [field("expires_after[anchor]", "created_at"), field("expires_after[seconds]", "7200")]

    file = await created(http, field("purpose", "user_data"), *expiry, file_part())
    batch = await created(http, field("purpose", "batch"), file_part())

    assert file["expires_at"] == file["created_at"] + 7200
    assert batch["expires_at"] == batch["created_at"] + 30 * 24 * 3600


async def test_deletes_a_file_and_its_bytes(holdfast: RunningHoldfast, http: httpx.AsyncClient) -> None:
    file = await created(http)
    key = object_key(KeyPrefix.FILE, file["id"])
    assert key in await stored_keys(holdfast)

    deleted = await http.delete(f"/v1/files/{file['id']}")

    assert deleted.json() == {"id": file["id"], "object": "file", "deleted": True}
    assert key not in await stored_keys(holdfast)
    for answer in (
        await http.get(f"/v1/files/{file['id']}"),
        await http.get(f"/v1/files/{file['id']}/content"),
        await http.delete(f"/v1/files/{file['id']}"),
    ):
        error = error_of(answer, 404)
        assert (error["message"], error["param"]) == (f"No such File object: {file['id']}", "id")


async def test_refuses_a_malformed_id(http: httpx.AsyncClient) -> None:
    error = error_of(await http.get("/v1/files/undefined"))

    assert error["message"] == "Invalid 'file_id': 'undefined'. Expected an ID that begins with 'file'."


@pytest.mark.parametrize("purpose", ["assistants", "user_data"])
async def test_refuses_downloads_by_purpose(http: httpx.AsyncClient, purpose: str) -> None:
    file = await created(http, field("purpose", purpose), file_part())

    error = error_of(await http.get(f"/v1/files/{file['id']}/content"))

    assert error["message"] == f"Not allowed to download files of purpose: {purpose}"


async def test_downloads_with_its_name_in_both_encodings(http: httpx.AsyncClient) -> None:
    file = await created(http, field("purpose", "vision"), file_part(CONTENT, 'filename="naïve%22.md"'))

    answer = await http.get(f"/v1/files/{file['id']}/content")

    assert answer.content == CONTENT
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    disposition = answer.headers["content-disposition"]
    assert disposition == "attachment; filename=\"na_ve_.md\"; filename*=UTF-8''na%C3%AFve%22.md"


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("given", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=5-9", 5, 9),
        ("bytes=10000-", 10000, 10239),
        ("bytes=-3", 10237, 10239),
        ("bytes=-99999", 0, 10239),
        ("bytes=10-99999", 10, 10239),
    ],
)
async def test_downloads_a_range(http: httpx.AsyncClient, given: str, first: int, last: int) -> None:
    file = await created(http)

    answer = await http.get(f"/v1/files/{file['id']}/content", headers={"Range": given})

    assert answer.status_code == 206
    assert answer.content == CONTENT[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(CONTENT)}"


@pytest.mark.any_database
@pytest.mark.parametrize("given", ["bytes=0-1,4-5", "lines=1-2", "bytes=-", "bytes=9-5", "nonsense"])
async def test_downloads_all_for_what_is_no_range(http: httpx.AsyncClient, given: str) -> None:
    file = await created(http)

    answer = await http.get(f"/v1/files/{file['id']}/content", headers={"Range": given})

    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.any_database
async def test_refuses_a_range_past_the_end(http: httpx.AsyncClient) -> None:
    file = await created(http)
    empty = await created(http, field("purpose", "vision"), file_part(b""))

    for file_id, size, given in [
        (file["id"], len(CONTENT), f"bytes={len(CONTENT)}-"),
        (file["id"], len(CONTENT), "bytes=-0"),
        (empty["id"], 0, "bytes=0-"),
    ]:
        answer = await http.get(f"/v1/files/{file_id}/content", headers={"Range": given})
        assert error_of(answer, 416)["code"] == "invalid_range"
        assert answer.headers["content-range"] == f"bytes */{size}"


@pytest.mark.any_database
async def test_a_range_of_another_version_is_the_whole(http: httpx.AsyncClient) -> None:
    file = await created(http)
    url = f"/v1/files/{file['id']}/content"
    etag = (await http.get(url)).headers["etag"]

    same = await http.get(url, headers={"Range": "bytes=0-4", "If-Range": etag})
    another = await http.get(url, headers={"Range": "bytes=0-4", "If-Range": '"another"'})

    assert (same.status_code, another.status_code) == (206, 200)


def row_of(number: int) -> dict[str, Any]:
    purpose = Purpose.VISION if number % 1000 == 0 else Purpose.ASSISTANTS
    facts = {"purpose": purpose.value, "filename": f"{number}.md", "bytes": 1, "status": "processed"}
    return {"id": new_file_id(), "project_id": "default", "created_at": 1, **facts}


async def test_lists_ten_thousand_files(own_holdfast: RunningHoldfast) -> None:
    with writing(own_holdfast.resources.database) as connection:
        connection.execute(insert(FILES), [row_of(number) for number in range(10_001)])
    async with httpx.AsyncClient(base_url=own_holdfast.url, timeout=30) as http:
        newest = (await http.get("/v1/files")).json()
        rest = (await http.get("/v1/files", params={"after": newest["last_id"]})).json()
        vision = (await http.get("/v1/files", params={"purpose": "vision", "order": "asc", "limit": 3})).json()
        none = (await http.get("/v1/files", params={"purpose": "evals"})).json()
        too_many = await http.get("/v1/files", params={"limit": 10_001})

    assert (len(newest["data"]), newest["has_more"]) == (10_000, True)
    assert newest["data"][0]["filename"] == "10000.md"
    assert ([each["filename"] for each in rest["data"]], rest["has_more"]) == (["0.md"], False)
    assert [each["filename"] for each in vision["data"]] == ["0.md", "1000.md", "2000.md"]
    assert none == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    assert error_of(too_many)["message"] == (
        "Invalid 'limit': integer above maximum value. Expected a value <= 10000, but got 10001 instead."
    )


async def test_a_repeated_request_makes_one_file(holdfast: RunningHoldfast, http: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": new_file_id()}
    first = await created(http, field("purpose", "vision"), file_part(), **key)
    before = await stored_keys(holdfast)

    again = await created(http, file_part(), field("purpose", "vision"), **key)
    different = await post(http, field("purpose", "vision"), file_part(b"other"), **key)

    assert again == first
    assert error_of(different)["code"] == "idempotency_key_reused"
    assert await stored_keys(holdfast) == before


async def test_a_client_that_leaves_leaves_nothing(holdfast: RunningHoldfast) -> None:
    before = await stored_keys(holdfast)
    incoming = holdfast.resources.settings.object_folder / INCOMING
    address = httpx.URL(holdfast.url)
    body = form(field("purpose", "vision"), file_part(bytes(2_000_000)))
    head = (
        f"POST /v1/files HTTP/1.1\r\nHost: {address.host}\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: {FORM_TYPE['Content-Type']}\r\n\r\n"
    )

    with socket.create_connection((address.host, address.port or 0)) as connection:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_sendall(connection, head.encode() + body[:1_500_000])
        while not list(incoming.iterdir()):
            await asyncio.sleep(0.01)

    async with asyncio.timeout(20):
        while list(incoming.iterdir()):
            await asyncio.sleep(0.01)
    assert await stored_keys(holdfast) == before


async def test_lost_content_is_said(holdfast: RunningHoldfast, http: httpx.AsyncClient) -> None:
    file = await created(http)
    await holdfast.resources.object_store.delete(object_key(KeyPrefix.FILE, file["id"]))

    error = error_of(await http.get(f"/v1/files/{file['id']}/content"), 500)

    assert error["message"] == f"The content of file {file['id']} is missing in the server's object store."


@pytest.mark.any_database
async def test_a_store_that_is_away_is_said(own_holdfast: RunningHoldfast) -> None:
    (own_holdfast.resources.settings.object_folder / INCOMING).rmdir()

    async with httpx.AsyncClient(base_url=own_holdfast.url, timeout=30) as http:
        answer = await post(http, field("purpose", "vision"), file_part())
        listed = await http.get("/v1/files")

    assert error_of(answer, 503)["message"].startswith("The server's object store does not answer at the moment")
    assert listed.json()["data"] == []


@pytest.mark.any_database
async def test_a_file_that_is_too_large_is_refused_in_mid_air(
    temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, temporal_port, provider, max_file_mb=1, downloadable_purposes="*")
    async with (
        running_holdfast(settings, with_worker=False) as running,
        httpx.AsyncClient(base_url=running.url, timeout=30) as http,
    ):
        largest = await created(http, field("purpose", "assistants"), file_part(bytes(MEBIBYTE)))
        refused = await post(http, field("purpose", "assistants"), file_part(bytes(20 * MEBIBYTE)))
        content = await http.get(f"/v1/files/{largest['id']}/content")
        keys = await stored_keys(running)

    assert content.content == bytes(MEBIBYTE)
    error = error_of(refused, 413)
    assert (error["param"], error["code"]) == ("file", "file_too_large")
    assert error["message"] == "Invalid 'file': it is too large. At most 1048576 bytes are taken."
    assert keys == {object_key(KeyPrefix.FILE, largest["id"])}


@pytest.mark.any_database
def test_a_file_has_at_most_512_mebibytes_unless_set() -> None:
    assert Settings(_env_file=None).max_file_bytes == 512 * 1024 * 1024


@pytest.mark.any_database
def test_settings_know_their_purposes() -> None:
    with pytest.raises(ValueError, match="there is no purpose asistants"):
        Settings(downloadable_purposes="vision, asistants")

    assert not Settings(downloadable_purposes="").may_download(Purpose.VISION)
