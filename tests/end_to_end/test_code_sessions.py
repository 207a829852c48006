"""Sessions of the code interpreter: lost, joined, cancelled, ended; and what is left of them. No code runs twice."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from openai.types.beta.threads import Run
from sqlalchemy import update

from activities.tools.code_interpreter import LOST
from activities.tools.code_sessions import RESTARTED
from infra.database import sandbox_files, sandbox_sessions
from infra.database.sandbox_tables import SANDBOX_SESSIONS
from infra.sandbox.errors import SandboxFileMissing, SessionGone
from models.code_cells import SandboxSession
from models.stored_objects import KeyPrefix
from tests.cli.program import free_ports
from tests.code_runs import (
    CODE,
    WAITS,
    code_of,
    coding,
    logs_of,
    put_file,
    python,
    session_of,
    small_packages,
    steps_of,
    told,
)
from tests.conftest import settings_for
from tests.database import writing
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.replies import Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.sandbox_process import RunningSandbox, running_sandbox
from tests.stored_files import store_file
from tests.sweeps import sweep_now

COUNT = 'open("/mnt/data/n", "a").write("x")\n'
READ = 'print(open("/mnt/data/n").read(), "a" in globals())'
UNTIL_INTERRUPTED = """import time
print("began", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    open("/mnt/data/interrupted", "w").close()"""

Coder = tuple[RunningHoldfast, RunningSandbox]


async def becomes(condition: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(15):
        while not await condition():
            await asyncio.sleep(0.05)


async def until_shown(holdfast: RunningHoldfast, run: Run, logs: str) -> None:
    async def is_shown() -> bool:
        return [logs_of(code) for code in await code_of(holdfast, run)] == [logs]

    await becomes(is_shown)


async def again(holdfast: RunningHoldfast, run: Run) -> Run:
    """Another run on the thread, of the same assistant."""
    started = holdfast.client.beta.threads.runs.create_and_poll
    return await started(thread_id=run.thread_id, assistant_id=run.assistant_id)


async def has_file(holdfast: RunningHoldfast, session: SandboxSession, name: str) -> bool:
    assert holdfast.resources.code_sandbox is not None
    try:
        async for _ in holdfast.resources.code_sandbox.fetch(session, name):
            pass
    except SandboxFileMissing:
        return False
    return True


@pytest.mark.slow
async def test_new_session_has_the_files_and_says_that_variables_are_gone(
    own_coder: Coder, provider: ScriptedProvider
) -> None:
    holdfast, sandbox = own_coder
    provider.script("code-lost", python(f"a = 1\n{COUNT}"), Says("Counted."), python(COUNT + READ), Says("Read."))
    run = await holdfast.until(await holdfast.run(await coding(holdfast, "code-lost")), "completed")
    sandbox.program.kill()
    await sandbox.program.start()

    later = await again(holdfast, run)

    [code] = await code_of(holdfast, later)
    assert logs_of(code) == f"{RESTARTED}xx False\n"
    assert told(provider.requests("code-lost")[3]) == [f"{RESTARTED}xx False\n"]


@pytest.mark.slow
async def test_code_in_a_killed_sandbox_is_lost_and_not_run_again(own_coder: Coder, provider: ScriptedProvider) -> None:
    holdfast, sandbox = own_coder
    provider.script("code-killed", python(COUNT), python(COUNT + WAITS), python(READ), Says("Done."))
    run = await holdfast.run(await coding(holdfast, "code-killed"))

    async def is_running() -> bool:
        codes = [logs_of(code) for code in await code_of(holdfast, run)]
        return codes[1:] == ["first\n"]

    await becomes(is_running)
    sandbox.program.kill()
    await sandbox.program.start()
    run = await holdfast.until(run)

    codes = [logs_of(code) for code in await code_of(holdfast, run)]
    assert (run.status, codes[1]) == ("completed", f"first\n{LOST}")
    assert told(provider.requests("code-killed")[2])[1] == f"first\n{LOST}"
    # Of the lost code nothing is kept, and it counted once.
    assert codes[2].endswith("x False\n")
    assert "xx" not in codes[2]


@pytest.mark.slow
async def test_next_worker_joins_the_running_code(own_coder: Coder, provider: ScriptedProvider) -> None:
    holdfast, _ = own_coder
    provider.script("code-joined", python(COUNT + WAITS + '\nprint(open("/mnt/data/n").read())'), Says("Done."))
    run = await holdfast.run(await coding(holdfast, "code-joined"))
    await until_shown(holdfast, run, "first\n")

    await holdfast.stop_worker()
    await put_file(holdfast, run.thread_id, "go", b"")
    await holdfast.start_worker()
    run = await holdfast.until(run)

    assert [logs_of(code) for code in await code_of(holdfast, run)] == ["first\nsecond\nx\n"]
    timeline: Any = await holdfast.client.get(f"/ops/runs/{run.id}", cast_to=object)
    assert timeline["turns"][0]["tool_calls"][0]["attempts"] == 2


@pytest.mark.slow
async def test_outage_of_the_sandbox_is_retried(own_coder: Coder, provider: ScriptedProvider) -> None:
    holdfast, sandbox = own_coder
    provider.script("code-outage", python("print(1)"), Says("Done."))
    assistant = await coding(holdfast, "code-outage")
    sandbox.program.kill()
    run = await holdfast.run(assistant)

    async def has_failed() -> bool:
        timeline: Any = await holdfast.client.get(f"/ops/runs/{run.id}", cast_to=object)
        return any(call["failures"] for turn in timeline["turns"] for call in turn["tool_calls"])

    await becomes(has_failed)
    await sandbox.program.start()
    run = await holdfast.until(run)

    assert (run.status, [logs_of(code) for code in await code_of(holdfast, run)]) == ("completed", ["1\n"])


@pytest.mark.slow
async def test_thread_leaves_a_sandbox_that_does_not_answer(
    temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    provider.script("code-moves", python(f"a = 1\n{COUNT}"), Says("Counted."), python(READ), Says("Read."))
    [port, nobody] = free_ports(2)
    with small_packages() as packages:
        async with running_sandbox(packages, listen=f"127.0.0.1:{port}", token="t"):
            url = f"http://127.0.0.1:{port}"
            settings = settings_for(tmp_path, temporal_port, provider, sandbox_url=url, sandbox_token="t")
            async with running_holdfast(settings) as holdfast:
                run = await holdfast.until(await holdfast.run(await coding(holdfast, "code-moves")), "completed")
                with writing(holdfast.resources.database) as connection:
                    connection.execute(update(SANDBOX_SESSIONS).values(url=f"http://127.0.0.1:{nobody}"))

                later = await again(holdfast, run)

                assert [logs_of(code) for code in await code_of(holdfast, later)] == [f"{RESTARTED}x False\n"]
                session = await session_of(holdfast, run.thread_id)
                assert (session.generation, session.place) == (2, url)


async def test_cancel_interrupts_the_code(coder: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("code-cancel", python(UNTIL_INTERRUPTED))
    run = await coder.run(await coding(coder, "code-cancel"))
    await until_shown(coder, run, "began\n")

    await coder.client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)
    await coder.until(run, "cancelled", timeout_seconds=3)

    session = await session_of(coder, run.thread_id)
    await becomes(lambda: has_file(coder, session, "interrupted"))
    [step] = await steps_of(coder, run)
    assert step["status"] == "cancelled"
    assert [logs_of(code) for code in await code_of(coder, run)] == ["began\n"]


async def test_code_ends_with_the_deadline_of_its_run(coder: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("code-expire", python(UNTIL_INTERRUPTED))
    soon: Any = {"expires_after": {"anchor": "created_at", "seconds": 3}}
    run = await coder.run(await coding(coder, "code-expire"), extra_body=soon)

    await coder.until(run, "expired")

    session = await session_of(coder, run.thread_id)
    await becomes(lambda: has_file(coder, session, "interrupted"))


async def test_deleted_thread_ends_its_session_and_its_files(
    coder: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("code-deleted", python(COUNT), Says("Done."))
    run = await coder.until(await coder.run(await coding(coder, "code-deleted")), "completed")
    session, database, sandbox = (
        await session_of(coder, run.thread_id),
        coder.resources.database,
        coder.resources.code_sandbox,
    )
    [kept] = (await database.read(sandbox_files.of_thread, run.thread_id)).values()
    assert sandbox is not None
    assert kept.key in await stored_keys(coder)

    await coder.client.beta.threads.delete(run.thread_id)
    await sweep_now(coder)

    async def is_gone() -> bool:
        return await database.read(sandbox_sessions.find, run.thread_id) is None

    await becomes(is_gone)
    with pytest.raises(SessionGone):
        await sandbox.open(session)
    assert kept.key not in await stored_keys(coder)


async def stored_keys(holdfast: RunningHoldfast) -> list[str]:
    found = await holdfast.resources.object_store.list_page(KeyPrefix.SANDBOX_FILE, 1000)
    return [each.key for each in found]


async def test_replaced_file_leaves_no_bytes_behind(coder: RunningHoldfast, provider: ScriptedProvider) -> None:
    remove = 'import os; os.remove("/mnt/data/n")'
    provider.script("code-replaced", python(COUNT), python(COUNT), Says("Done."), python(remove), Says("Removed."))
    run = await coder.until(await coder.run(await coding(coder, "code-replaced")), "completed")
    [kept] = (await coder.resources.database.read(sandbox_files.of_thread, run.thread_id)).values()
    assert (kept.name, kept.bytes) == ("n", 2)

    await again(coder, run)

    assert await coder.resources.database.read(sandbox_files.names, run.thread_id) == []
    await sweep_now(coder)

    async def is_gone() -> bool:
        return kept.key not in await stored_keys(coder)

    await becomes(is_gone)


async def test_deleted_file_is_in_no_session_any_more(coder: RunningHoldfast, provider: ScriptedProvider) -> None:
    listing = 'import os; print(sorted(os.listdir("/mnt/data")), "a" in globals()); a = 1'
    provider.script("code-deleted-file", python(listing), Says("Done."), python(listing), Says("Done."))
    file_id = await store_file(coder.resources, "secret", "secret.txt")
    attached = {"role": "user", "content": "Go", "attachments": [{"file_id": file_id, "tools": [CODE]}]}
    assistant = await coding(coder, "code-deleted-file")
    run = await coder.until(await coder.run(assistant, thread={"messages": [attached]}), "completed")

    await coder.client.files.delete(file_id)
    later = await again(coder, run)

    [first], [second] = await code_of(coder, run), await code_of(coder, later)
    assert logs_of(first) == f"{sorted([file_id, 'secret.txt'])} False\n"
    assert logs_of(second) == f"{RESTARTED}[] False\n"


async def test_code_that_ends_its_process_leaves_the_files(coder: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("code-exit", python(f"a = 1\n{COUNT}import os; os._exit(1)"), python(READ), Says("Done."))

    run = await coder.until(await coder.run(await coding(coder, "code-exit")), "completed")

    ended, read = await code_of(coder, run)
    assert "ariables are gone" in logs_of(ended)
    assert logs_of(read).endswith("x False\n")
