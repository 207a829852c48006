"""`holdfast files` against a running server, whose files failed: its commands in this process."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from temporalio.client import WorkflowExecutionStatus

from infra.temporal import FILE_ID, VECTOR_STORE_ID
from models.stored_objects import KeyPrefix, object_key
from tests.cli.program import Place, run_here
from tests.conftest import settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.scripted_provider import ScriptedProvider
from tests.stored_files import store_file

pytestmark = pytest.mark.any_database

TEXT = "Employees get twenty-five days of paid vacation each year."


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.new(tmp_path)


async def _holdfast(place: Place, holdfast: RunningHoldfast, *command: str) -> subprocess.CompletedProcess[str]:
    """`holdfast files …`, while this process goes on serving."""
    return await asyncio.to_thread(run_here, place, "files", *command, HOLDFAST_URL=holdfast.url)


async def _lines(place: Place, holdfast: RunningHoldfast, *command: str) -> list[dict[str, Any]]:
    ended = await _holdfast(place, holdfast, *command, "--json")
    assert ended.stderr == ""
    return [json.loads(line) for line in ended.stdout.splitlines()]


async def _without_content(holdfast: RunningHoldfast) -> str:
    file_id = await store_file(holdfast.resources, TEXT)
    await holdfast.resources.object_store.delete(object_key(KeyPrefix.FILE, file_id))
    return file_id


async def _restore_content(holdfast: RunningHoldfast, file_id: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield TEXT.encode()

    await holdfast.resources.object_store.put(object_key(KeyPrefix.FILE, file_id), pieces())


async def _added(holdfast: RunningHoldfast, *file_ids: str) -> str:
    """Returns the id of a store with the files, which have failed or are completed."""
    store = await holdfast.client.vector_stores.create()
    await holdfast.client.vector_stores.file_batches.create_and_poll(store.id, file_ids=list(file_ids))
    return store.id


async def _completed(holdfast: RunningHoldfast, store_id: str, file_id: str) -> None:
    file = await holdfast.client.vector_stores.files.poll(file_id, vector_store_id=store_id)
    assert (file.status, file.last_error) == ("completed", None)


async def test_a_failed_file_is_listed_shown_and_retried(place: Place, holdfast: RunningHoldfast) -> None:
    file_id = await _without_content(holdfast)
    store_id = await _added(holdfast, file_id)
    name = f"{store_id}/{file_id}"

    listed = await _lines(place, holdfast, "list", "--store", store_id, "--error", "server_error", "--since", "1h")
    table = await _holdfast(place, holdfast, "list", "--store", store_id)
    shown = await _holdfast(place, holdfast, "show", name)
    await _restore_content(holdfast, file_id)
    retried = await _lines(place, holdfast, "retry", name)
    await _completed(holdfast, store_id, file_id)
    again = await _holdfast(place, holdfast, "retry", name)

    assert [(file["id"], file["status"], file["project"]) for file in listed] == [(name, "failed", "default")]
    assert table.stdout.splitlines()[0].split()[:2] == ["STORE/FILE", "STATUS"]
    assert table.stdout.splitlines()[1].split()[:2] == [name, "failed"]
    assert "server_error: The file's content is missing in the object store." in shown.stdout
    assert f"/workflows/ingest/{name}/" in unquote(shown.stdout)
    assert [(each["id"], each["refused"]) for each in retried] == [(name, None)]
    assert again.returncode == 1
    assert "refused: Cannot retry file with status 'completed'" in again.stdout
    assert again.stdout.endswith("Retried 0 of 1 files.\n")
    store = await holdfast.client.vector_stores.retrieve(store_id)
    assert (store.status, store.file_counts.completed, store.file_counts.failed) == ("completed", 1, 0)
    found = await holdfast.client.vector_stores.search(store_id, query="vacation")
    assert [result.content[0].text for result in found.data] == [TEXT]


async def test_a_file_is_retried_in_every_store_where_it_failed(place: Place, holdfast: RunningHoldfast) -> None:
    file_id = await _without_content(holdfast)
    stores = [await _added(holdfast, file_id) for _ in range(2)]
    await _restore_content(holdfast, file_id)
    elsewhere = await _added(holdfast, file_id)

    ended = await _holdfast(place, holdfast, "retry", file_id, "file-unknown")

    assert ended.returncode == 1
    for store_id in stores:
        await _completed(holdfast, store_id, file_id)
    first, second, unknown, summary = ended.stdout.splitlines()
    assert [first.split()[0], second.split()[0]] == [f"{store_id}/{file_id}" for store_id in stores]
    assert unknown == "file-unknown  refused: It has failed in no vector store."
    assert summary == "Retried 2 of 3 files."
    assert elsewhere not in ended.stdout


async def test_all_failed_files_that_the_filters_leave_are_retried(place: Place, holdfast: RunningHoldfast) -> None:
    lost, empty = await _without_content(holdfast), await store_file(holdfast.resources, "")
    store_id = await _added(holdfast, lost, empty)
    await _restore_content(holdfast, lost)

    chosen = ("--failed", "--store", store_id, "--error", "server_error", "--since", "1h")
    retried = await _lines(place, holdfast, "retry", *chosen)
    await _completed(holdfast, store_id, lost)
    nothing = await _holdfast(place, holdfast, "retry", *chosen)

    assert [each["id"] for each in retried] == [f"{store_id}/{lost}"]
    assert (nothing.returncode, nothing.stdout) == (0, "Retried 0 of 0 files.\n")
    assert [file["file_id"] for file in await _lines(place, holdfast, "list", "--store", store_id)] == [empty]


async def test_failed_ingestions_are_found_in_the_temporal_ui(holdfast: RunningHoldfast) -> None:
    file_id = await _without_content(holdfast)
    in_batch = await _added(holdfast, file_id)
    store = await holdfast.client.vector_stores.create()
    await holdfast.client.vector_stores.files.create_and_poll(file_id, vector_store_id=store.id)
    query = f"{FILE_ID.name} = '{file_id}' AND ExecutionStatus = 'Failed'"

    found: list[Any] = []
    async with asyncio.timeout(20):
        while len(found) < 2:
            await asyncio.sleep(0.05)
            found = [each async for each in holdfast.resources.temporal.list_workflows(query)]

    assert {each.typed_search_attributes[VECTOR_STORE_ID] for each in found} == {in_batch, store.id}
    assert {each.status for each in found} == {WorkflowExecutionStatus.FAILED}
    described = await holdfast.resources.temporal.get_workflow_handle(found[0].id).describe()
    assert await described.static_summary() in {f"{file_id} in {in_batch}", f"{file_id} in {store.id}"}


async def test_an_operator_retries_files_of_all_projects_and_a_project_its_own(
    place: Place, temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    keys = {"api_keys": {"sk-blue": "blue", "sk-red": "red"}, "operator_keys": ("sk-operator",)}
    settings = settings_for(tmp_path, temporal_port, provider).model_copy(update=keys)
    async with running_holdfast(settings) as keyed:
        file_id = await store_file(keyed.resources, "", project="blue")
        client = keyed.client.with_options(api_key="sk-blue")
        store = await client.vector_stores.create()
        await client.vector_stores.files.create_and_poll(file_id, vector_store_id=store.id)
        name = f"{store.id}/{file_id}"

        async def as_key(key: str, *command: str) -> subprocess.CompletedProcess[str]:
            here = ("--url", keyed.url, "--api-key", key)
            return await asyncio.to_thread(run_here, place, "files", *command, *here)

        of_operator = await as_key("sk-operator", "list")
        of_red = await as_key("sk-red", "list", "--json")
        refused = await as_key("sk-red", "retry", name)
        retried = await as_key("sk-operator", "retry", name)

    assert name in of_operator.stdout
    assert " blue " in of_operator.stdout
    assert of_red.stdout == ""
    assert f"refused: No file found with id '{name}'." in refused.stdout
    assert retried.stdout.endswith("Retried 1 of 1 files.\n")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("retry",), "Name files, or say --failed"),
        (("retry", "file-x", "--failed"), "Name files, or say --failed"),
        (("retry", "file-x", "--store", "vs_x"), "Filters go with --failed"),
        (("list", "--status", "completed"), "'completed' is not one of"),
        (("list", "--since", "yesterday"), "'yesterday' is no duration"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(place: Place, command: tuple[str, ...], said: str) -> None:
    refused = run_here(place, "files", *command, TERMINAL_WIDTH="200")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in " ".join(refused.stderr.split())


async def test_a_name_without_store_is_not_shown(place: Place, holdfast: RunningHoldfast) -> None:
    ended = await _holdfast(place, holdfast, "show", "file-x")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "holdfast: 'file-x' names no file of a vector store, as STORE/FILE does.\n"
