"""Attempts at calls of the code interpreter, over a real sandbox and a real database."""

import json
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from activities.tools.code_interpreter import ENDED, LOST, NOT_KEPT, CodeInterpreter
from activities.tools.code_sessions import MOVES_AFTER_ATTEMPTS
from infra.database import runs, sandbox_files, sandbox_sessions
from infra.database.connections import Limits, create_engine
from infra.database.engine import Database
from infra.database.sandbox_files import KeptFile
from infra.object_store.directory import DirectoryObjectStore
from infra.ports import ResultWithRows, ToolScope
from infra.sandbox.errors import SandboxRefused
from infra.sandbox.http_sandbox import HttpCodeSandbox
from infra.tools.errors import ToolFailed, ToolUnavailable
from models.code_cells import OpenedSession, SandboxFile, SandboxSession
from models.ids import Prefix, new_id
from models.tool_calls import CodeRun, ToolCall
from tests.code_runs import small_packages
from tests.database import new_sqlite_database, reading, writing
from tests.infra.database.conftest import PROJECT
from tests.infra.database.server_calls import CalledTools
from tests.infra.sandbox.files import once
from tests.sandbox_process import RunningSandbox, running_sandbox

pytestmark = [pytest.mark.any_database, pytest.mark.xdist_group("sandbox-calls")]
FILLS_THE_DISK = """from PIL import Image
for n in range(3): open(f"f{n}", "wb").truncate(15 << 20)
Image.Image()"""
EXIT = "import os; print('once', flush=True); os._exit(1)"


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[RunningSandbox]:
    with small_packages() as packages:
        async with running_sandbox(packages, disk_mb="32") as running:
            yield running


@pytest.fixture
def called(tmp_path: Path) -> CalledTools:
    """A run whose first turn made one call of the code interpreter."""
    url = new_sqlite_database(tmp_path)
    return CalledTools.of(Database(create_engine(url, Limits())), "python")


@pytest.fixture
async def tool(called: CalledTools, sandbox: RunningSandbox, tmp_path: Path) -> CodeInterpreter:
    store = DirectoryObjectStore(tmp_path / "objects")
    await store.open()
    return CodeInterpreter(called.database, store, sandbox.client)


class EndsFirst(HttpCodeSandbox):
    """Ends a session whose files are fetched or put."""

    async def fetch(self, session: SandboxSession, name: str) -> AsyncGenerator[bytes, None]:
        await self.close(session)
        async for part in super().fetch(session, name):
            yield part

    async def put_file(
        self, session: SandboxSession, file: SandboxFile, content: AsyncIterable[bytes], alias: str | None = None
    ) -> None:
        await self.close(session)
        await super().put_file(session, file, content, alias)


@pytest.fixture
async def ending(tool: CodeInterpreter, sandbox: RunningSandbox) -> AsyncIterator[CodeInterpreter]:
    client = EndsFirst(f"unix://{sandbox.folder.parent / 'sandbox.sock'}", "")
    yield replace(tool, sandbox=client)
    await client.close_connections()


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


async def test_refusal_of_the_sandbox_is_the_output_of_the_call(called: CalledTools, tool: CodeInterpreter) -> None:
    class Refuses(HttpCodeSandbox):
        async def open(self, session: SandboxSession) -> OpenedSession:
            raise SandboxRefused("code_interpreter cannot run here: bwrap: setting up uid map: Permission denied.")

    refusing = Refuses("http://127.0.0.1:9", "")
    with pytest.raises(ToolFailed) as refused:
        await replace(tool, sandbox=refusing).run(call_of(called, "print(1)"), scope_of(called))
    await refusing.close_connections()

    assert str(refused.value) == "code_interpreter cannot run here: bwrap: setting up uid map: Permission denied."


async def test_images_of_a_session_that_the_code_has_ended_are_not_asked_for(
    called: CalledTools, tool: CodeInterpreter
) -> None:
    result = await tool.run(call_of(called, FILLS_THE_DISK), scope_of(called))

    assert ENDED in logs_of(result)
    assert logs_of(result).endswith(NOT_KEPT)


async def test_output_of_a_session_that_ends_before_its_files_are_fetched_is_kept(
    called: CalledTools, ending: CodeInterpreter
) -> None:
    result = await ending.run(call_of(called, "open('a', 'w').write('1'); print(1)"), scope_of(called))

    assert logs_of(result) == f"1\n{NOT_KEPT}"


async def test_session_that_ends_while_it_gets_its_files_is_tried_again(
    called: CalledTools, ending: CodeInterpreter
) -> None:
    kept = KeptFile("a", new_id(Prefix.SANDBOX_FILE), 1, "00")
    with writing(called.database) as connection:
        sandbox_files.replace(connection, PROJECT, called.run.thread_id, [kept], [])

    await ending.object_store.put(kept.key, once(b"1"))

    with pytest.raises(ToolUnavailable):
        await ending.run(call_of(called, "print(1)"), scope_of(called))


async def test_begun_call_leaves_a_dead_sandbox_for_another_one(called: CalledTools, tool: CodeInterpreter) -> None:
    gone = SandboxSession(called.run.thread_id, 1, "http://127.0.0.1:9")
    with writing(called.database) as connection:
        sandbox_sessions.create(connection, PROJECT, gone.id, gone.place)
        sandbox_sessions.begin_cell(connection, called.calls[0].id, gone, "", {})
    client = HttpCodeSandbox("http://127.0.0.1:8", "")
    elsewhere = replace(tool, sandbox=client)

    with pytest.raises(ToolUnavailable):
        await elsewhere.run(call_of(called, "1"), scope_of(called, attempt=MOVES_AFTER_ATTEMPTS - 1))
    lost = await elsewhere.run(call_of(called, "1"), scope_of(called, attempt=MOVES_AFTER_ATTEMPTS))
    await client.close_connections()

    assert logs_of(lost) == LOST
