"""What `CodeSandbox` promises of sessions, shown with a real sandbox over its socket."""

from dataclasses import replace
from itertools import count

import psutil
import pytest

from infra.sandbox.errors import (
    SandboxUnavailable,
    SessionGone,
)
from infra.sandbox.http_sandbox import HttpCodeSandbox
from infra.sandbox.limits import MEGABYTE
from infra.sandbox.usage import processes_of, proportional_memory
from models.code_cells import DATA_FOLDER, CellEnding, PackageState, SandboxSession, SessionFate
from tests.cli.program import command_line
from tests.infra.sandbox.files import file_of
from tests.program import until
from tests.sandbox_process import RunningSandbox, running_sandbox

pytestmark = pytest.mark.xdist_group("sandbox-contract")
SLEEP = "import time; time.sleep(30)"


async def test_sessions_share_nothing(sandbox: RunningSandbox, session: SandboxSession) -> None:
    await sandbox.run(session, "x = 1; open('x.txt', 'w').write('x')")

    ran = await sandbox.run_alone("import os\nprint(os.listdir('.'), 'x' in globals())")

    assert ran.text == "[] False\n"


async def test_open_finds_the_session_as_it_is(sandbox: RunningSandbox, session: SandboxSession) -> None:
    first = await sandbox.client.open(session)
    await sandbox.run(session, "open('x', 'w').write('1')")

    again = await sandbox.client.open(session)

    assert (first.is_new, first.files) == (True, ())
    assert (again.is_new, again.files) == (False, (file_of("x", b"1"),))


async def test_newer_generation_replaces_a_session_and_an_old_one_never_comes_back(
    sandbox: RunningSandbox, session: SandboxSession
) -> None:
    newer = replace(session, generation=1)

    await sandbox.client.open(newer)

    for call in (sandbox.client.open(session), sandbox.run(session, "1"), sandbox.client.interrupt(session, "call")):
        with pytest.raises(SessionGone):
            await call
    await sandbox.client.close(session)
    assert (await sandbox.run(newer, "1")).text == "1\n"
    await sandbox.client.close(newer)
    with pytest.raises(SessionGone):
        await sandbox.client.open(newer)


async def test_close_ends_a_cell_that_runs(sandbox: RunningSandbox, session: SandboxSession) -> None:
    running = await sandbox.begin(session, f"print('in', flush=True); {SLEEP}")

    await sandbox.client.close(session)

    assert (await running).done.fate is SessionFate.ENDED
    await sandbox.client.close(session)


@pytest.mark.slow
async def test_own_limit_of_the_sandbox_is_the_longest() -> None:
    async with running_sandbox(cell_seconds="1") as sandbox:
        ran = await sandbox.run_alone("import time; time.sleep(30)")

    assert ran.done.reason == "The call took longer than 1 s."


@pytest.mark.slow
async def test_session_ends_when_it_was_idle_for_long() -> None:
    async with running_sandbox(idle_seconds="1") as sandbox:
        session = await sandbox.session()
        await sandbox.run(session, "1", call_id="call_1")
        await sandbox.client.acknowledge(session, "call_1")

        async def has_none() -> bool:
            return (await sandbox.client.health()).sessions == 0

        await until(has_none, "the idle session is still there")

        with pytest.raises(SessionGone):
            await sandbox.run(session, "1")


@pytest.mark.slow
async def test_session_ends_with_its_lifetime_although_it_is_used() -> None:
    async with running_sandbox(lifetime_seconds="2") as sandbox:
        session, numbers = await sandbox.session(), count()

        async def is_gone() -> bool:
            name = f"call_{next(numbers)}"
            try:
                await sandbox.run(session, "1", call_id=name)
                await sandbox.client.acknowledge(session, name)
            except SessionGone:
                return True
            return False

        await until(is_gone, "the session lives on")


@pytest.mark.slow
async def test_full_sandbox_ends_the_longest_idle_session_and_none_that_runs() -> None:
    async with running_sandbox(sessions="2") as sandbox:
        oldest, other = await sandbox.session(), await sandbox.session()
        await sandbox.run(oldest, "1", call_id="call_1")
        running = await sandbox.begin(other, f"print('in', flush=True); {SLEEP}", "call_1")

        # Its files may still be fetched.
        with pytest.raises(SandboxUnavailable, match="As many sessions"):
            await sandbox.session()
        await sandbox.client.acknowledge(oldest, "call_1")
        third = await sandbox.session()
        with pytest.raises(SessionGone):
            await sandbox.run(oldest, "1")
        also = await sandbox.begin(third, f"print('in', flush=True); {SLEEP}", "call_1")
        with pytest.raises(SandboxUnavailable, match="As many sessions"):
            await sandbox.session()

        for session, cell in ((other, running), (third, also)):
            await sandbox.client.interrupt(session, "call_1")
            assert (await cell).done.ending is CellEnding.INTERRUPTED


async def test_idle_session_costs_ten_megabytes_at_most(sandbox: RunningSandbox, session: SandboxSession) -> None:
    await sandbox.run(session, "x = 1")

    assert sandbox.program.process is not None
    children = psutil.Process(sandbox.program.process.pid).children()
    boxes = [child.pid for child in children if DATA_FOLDER in command_line(child)]
    sizes = [sum(map(proportional_memory, processes_of(box))) / MEGABYTE for box in boxes]
    # A box that is started in advance may not have its Python yet.
    assert 1 < max(sizes) <= 10, sizes


async def test_health_says_what_keeps_the_code_in(sandbox: RunningSandbox) -> None:
    health = await sandbox.client.health()

    assert health.isolation is not None
    assert health.isolation.startswith("bubblewrap ")
    assert health.isolation.endswith(", seccomp")
    assert (health.refusal, health.packages) == (None, PackageState.READY)


async def test_sandbox_that_is_not_there_is_unavailable() -> None:
    client = HttpCodeSandbox("http://127.0.0.1:9", "x")
    session = SandboxSession("thread_1", 0, await client.place())

    for call in (client.health(), client.open(session), client.close(session)):
        with pytest.raises(SandboxUnavailable, match="The sandbox does not answer"):
            await call
    await client.close_connections()


@pytest.mark.slow
async def test_sandbox_that_dies_under_a_cell_is_unavailable_and_its_session_gone() -> None:
    async with running_sandbox() as sandbox:
        session = await sandbox.session()
        running = await sandbox.begin(session, f"print('in', flush=True); {SLEEP}")

        sandbox.program.kill()

        with pytest.raises(SandboxUnavailable):
            await running
        await sandbox.program.start()
        with pytest.raises(SessionGone):
            await sandbox.run(session, "1")


async def test_open_names_the_calls_that_are_known(sandbox: RunningSandbox, session: SandboxSession) -> None:
    first = await sandbox.begin(session, f"print('in', flush=True); {SLEEP}", "call_1")
    running = await sandbox.client.open(session)
    await sandbox.client.interrupt(session, "call_1")
    await first
    await sandbox.run(session, "2", call_id="call_2")
    await sandbox.client.acknowledge(session, "call_1")

    assert running.cells == ("call_1",)
    assert (await sandbox.client.open(session)).cells == ("call_2",)
