"""`GET /health`, with each dependency up and down."""

import asyncio
import re
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from api import routes
from api.routes.health import NONE
from infra.database.engine import SQLITE_READERS, Database
from tests.conftest import settings_for, temporal_program
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.scripted_provider import ScriptedProvider


async def _health(holdfast: RunningHoldfast) -> tuple[int, dict[str, str]]:
    async with httpx.AsyncClient() as client:
        response = await client.get(f"{holdfast.url}/health")
    return response.status_code, response.json()


async def test_all_dependencies_are_ok(holdfast: RunningHoldfast) -> None:
    assert await _health(holdfast) == (
        200,
        {**dict.fromkeys(["database", "temporal", "object_store", "vector_index"], "ok"), "sandbox": NONE},
    )


async def test_isolation_of_the_sandbox_is_named(coder: RunningHoldfast) -> None:
    status, health = await _health(coder)

    assert status == 200
    assert re.fullmatch(r"ok: .*bubblewrap.*, packages ready.*", health["sandbox"])


@pytest.mark.any_database
async def test_sandbox_that_does_not_answer_is_named_and_hinders_nothing(
    provider: ScriptedProvider, temporal_port: int, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, temporal_port, provider, sandbox_url=f"unix://{tmp_path}/none.sock")
    async with running_holdfast(settings, with_worker=False) as holdfast:
        assert (await _health(holdfast))[1]["sandbox"] == "does not answer: the log says why"
        assert (await _health(holdfast))[0] == 200


async def test_unreachable_temporal_is_reported(provider: ScriptedProvider, tmp_path: Path) -> None:
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_program(), data_converter=pydantic_data_converter
    )
    port = int(environment.client.service_client.config.target_host.rpartition(":")[2])
    async with running_holdfast(settings_for(tmp_path, port, provider), with_worker=False) as holdfast:
        await environment.shutdown()

        status, health = await _health(holdfast)

    assert status == 503
    assert health["database"] == "ok"
    assert health["temporal"] == "does not answer: the log says why"


@pytest.mark.any_database
async def test_unreachable_database_is_reported(own_holdfast: RunningHoldfast) -> None:
    file = own_holdfast.resources.settings.data_dir / "holdfast.db"
    own_holdfast.resources.database.engine.dispose()
    for part in file.parent.glob("holdfast.db*"):
        part.unlink()
    file.mkdir()

    status, health = await _health(own_holdfast)

    assert status == 503
    assert health["database"] == "does not answer: the log says why"
    assert health["temporal"] == "ok"


@pytest.mark.any_database
async def test_unusable_object_store_is_reported(own_holdfast: RunningHoldfast) -> None:
    folder = own_holdfast.resources.settings.object_folder
    shutil.rmtree(folder)
    folder.write_bytes(b"")

    status, health = await _health(own_holdfast)

    assert (status, health["database"]) == (503, "ok")
    assert health["object_store"] == "does not answer: the log says why"


@pytest.mark.any_database
async def test_object_store_that_hangs_is_reported_in_time(
    temporal_port: int, provider: ScriptedProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes.health, "HEALTH_TIMEOUT", timedelta(milliseconds=100))
    async with running_holdfast(settings_for(tmp_path, temporal_port, provider), with_worker=False) as holdfast:
        is_over = asyncio.Event()
        monkeypatch.setattr(holdfast.resources.object_store, "check", is_over.wait)

        status, health = await _health(holdfast)

    assert (status, health["object_store"]) == (503, "does not answer: nothing within 0.1 s")


@pytest.mark.any_database
async def test_vector_index_that_cannot_be_written_is_reported(own_holdfast: RunningHoldfast) -> None:
    folder = own_holdfast.resources.settings.vector_index_dir
    folder.write_text("in the way")

    status, health = await _health(own_holdfast)

    assert status == 503
    assert health["vector_index"] == "does not answer: the log says why"
    assert health["database"] == "ok"


async def test_hanging_database_is_reported_in_time(
    own_holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes.health, "HEALTH_TIMEOUT", timedelta(milliseconds=100))
    resources = own_holdfast.resources
    threads = max(SQLITE_READERS, resources.settings.database_pool_size)
    async with _busy(resources.database, threads):
        status, health = await _health(own_holdfast)

    assert status == 503
    assert health["database"].startswith("does not answer: nothing within")


@asynccontextmanager
async def _busy(database: Database, threads: int) -> AsyncIterator[None]:
    """Occupy that many of the database's threads until the block ends; later calls wait for one."""
    is_over = threading.Event()

    def work(_connection: Connection) -> None:
        is_over.wait()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(threads):
            tasks.create_task(database.read(work))
        try:
            yield
        finally:
            is_over.set()


@pytest.mark.slow
async def test_run_is_accepted_while_temporal_is_down(provider: ScriptedProvider, tmp_path: Path) -> None:
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_program(), data_converter=pydantic_data_converter
    )
    port = int(environment.client.service_client.config.target_host.rpartition(":")[2])
    async with running_holdfast(settings_for(tmp_path, port, provider), with_worker=False) as holdfast:
        await environment.shutdown()

        run = await holdfast.run(await holdfast.assistant("no-temporal"))

        assert run.status == "queued"
