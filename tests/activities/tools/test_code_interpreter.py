"""Attempts at calls of the code interpreter, over a real sandbox and a real database."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from activities.tools.code_interpreter import CodeInterpreter
from infra.database import runs, sandbox_sessions
from infra.database.connections import Limits, create_engine
from infra.database.engine import Database
from infra.database.migrations import migrate
from infra.object_store.directory import DirectoryObjectStore
from infra.ports import ResultWithRows, ToolScope
from models.code_cells import SandboxSession
from models.tool_calls import CodeRun, ToolCall
from tests.database import reading, writing
from tests.infra.database.conftest import PROJECT
from tests.infra.database.server_calls import CalledTools
from tests.sandbox_process import RunningSandbox, running_sandbox

pytestmark = [pytest.mark.any_database, pytest.mark.xdist_group("sandbox-calls")]
EXIT = "import os; print('once', flush=True); os._exit(1)"


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[RunningSandbox]:
    async with running_sandbox() as running:
        yield running


@pytest.fixture
def called(tmp_path: Path) -> CalledTools:
    """A run whose first turn made one call of the code interpreter."""
    url = f"sqlite:///{tmp_path / 'holdfast.db'}"
    migrate(url)
    return CalledTools.of(Database(create_engine(url, Limits())), "python")


@pytest.fixture
async def tool(called: CalledTools, sandbox: RunningSandbox, tmp_path: Path) -> CodeInterpreter:
    store = DirectoryObjectStore(tmp_path / "objects")
    await store.open()
    return CodeInterpreter(called.database, store, sandbox.client)


def call_of(called: CalledTools, code: str) -> ToolCall:
    return replace(called.calls[0], arguments=json.dumps({"code": code}))


def scope_of(called: CalledTools, attempt: int = 1) -> ToolScope:
    with reading(called.database) as connection:
        run = runs.load(connection, PROJECT, called.run.thread_id, called.run.id)
    return ToolScope(PROJECT, run, attempt=attempt)


def logs_of(result: CodeRun | ResultWithRows) -> str:
    code = result.result if isinstance(result, ResultWithRows) else result
    assert isinstance(code, CodeRun)
    return code.logs


def session_of(called: CalledTools) -> SandboxSession:
    with reading(called.database) as connection:
        stored = sandbox_sessions.find(connection, called.run.thread_id)
    assert stored is not None
    return stored.session


async def test_retried_call_whose_code_ended_its_process_has_its_output(
    called: CalledTools, tool: CodeInterpreter
) -> None:
    first = await tool.run(call_of(called, EXIT), scope_of(called))

    again = await tool.run(call_of(called, EXIT), scope_of(called, attempt=2))

    assert logs_of(first).startswith("once\n")
    assert logs_of(again) == logs_of(first)
