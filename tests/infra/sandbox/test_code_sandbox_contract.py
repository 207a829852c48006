"""What `CodeSandbox` promises, shown with a real sandbox over its socket."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from infra.sandbox.errors import (
    CellUnknown,
    SandboxFileMissing,
    SandboxFileRefused,
    SandboxUnavailable,
    SessionGone,
)
from infra.sandbox.http_sandbox import HttpCodeSandbox
from models.code_cells import CellDone, CellEnding, CellText, PackageState, SandboxFile, SandboxSession, SessionFate
from tests.infra.sandbox.files import once, sha256
from tests.program import until
from tests.sandbox_process import RunningSandbox, running_sandbox

pytestmark = pytest.mark.xdist_group("sandbox-contract")
LIMIT = timedelta(seconds=20)
SLEEP = "import time; time.sleep(30)"


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[RunningSandbox]:
    async with running_sandbox() as running:
        yield running


@pytest.fixture
async def session(sandbox: RunningSandbox) -> AsyncIterator[SandboxSession]:
    opened = await sandbox.session()
    yield opened
    await sandbox.client.close(opened)


def file_of(name: str, content: bytes) -> SandboxFile:
    return SandboxFile(name, len(content), sha256(content))


async def fetched(sandbox: RunningSandbox, session: SandboxSession, name: str) -> bytes:
    return b"".join([part async for part in sandbox.client.fetch(session, name)])


async def test_variables_live_from_cell_to_cell(sandbox: RunningSandbox, session: SandboxSession) -> None:
    await sandbox.run(session, "import math\nx = 20\ndef double(n): return 2 * n")

    ran = await sandbox.run(session, "print('so'); double(x) + math.floor(2.5)")

    assert ran.text == "so\n42\n"
    assert (ran.done.ending, ran.done.fate) == (CellEnding.COMPLETED, SessionFate.KEPT)


async def test_sessions_share_nothing(sandbox: RunningSandbox, session: SandboxSession) -> None:
    await sandbox.run(session, "x = 1; open('x.txt', 'w').write('x')")

    ran = await sandbox.run_alone("import os\nprint(os.listdir('.'), 'x' in globals())")

    assert ran.text == "[] False\n"


async def test_exception_is_output_and_shows_the_code_alone(sandbox: RunningSandbox, session: SandboxSession) -> None:
    ran = await sandbox.run(session, "def fail():\n    return 1 / 0\nfail()")

    assert ran.done.ending is CellEnding.RAISED
    assert ran.text.startswith('Traceback (most recent call last):\n  File "<cell 1>", line 3, in <module>\n')
    assert "return 1 / 0" in ran.text
    assert ran.text.endswith("ZeroDivisionError: division by zero\n")
    assert "kernel.py" not in ran.text


async def test_code_that_is_no_python_says_where(sandbox: RunningSandbox, session: SandboxSession) -> None:
    ran = await sandbox.run(session, "x = = 1")

    assert ran.done.ending is CellEnding.RAISED
    assert ran.text.endswith("SyntaxError: invalid syntax\n")


async def test_commands_run_and_notebook_magic_is_left_out(sandbox: RunningSandbox, session: SandboxSession) -> None:
    code = "%matplotlib inline\nx = 1\nif x:\n    !echo from the shell\nprint('''\n!kept\n''')"

    ran = await sandbox.run(session, code)

    assert "from the shell\n" in ran.text
    assert ran.done.ending is CellEnding.COMPLETED


async def test_text_comes_while_the_code_runs(sandbox: RunningSandbox, session: SandboxSession) -> None:
    outputs = sandbox.client.run(session, "call_1", "import time\nprint('first', flush=True)\ntime.sleep(30)", LIMIT)

    assert await anext(outputs) == CellText("first\n")
    await sandbox.client.interrupt(session, "call_1")
    rest = [output async for output in outputs]
    assert isinstance(rest[-1], CellDone)
    assert (rest[-1].ending, rest[-1].reason) == (CellEnding.INTERRUPTED, "The call was interrupted.")
    assert (await sandbox.run(session, "1")).text == "1\n"


async def test_call_that_runs_is_joined(sandbox: RunningSandbox, session: SandboxSession) -> None:
    code = "import time, random\nprint('begun', random.random(), flush=True)\ntime.sleep(1)\nprint('ended')"
    first = sandbox.client.run(session, "call_1", code, LIMIT)
    begun = await anext(first)
    await first.aclose()

    joined = await sandbox.run(session, "raise AssertionError('it runs once')", call_id="call_1")

    assert isinstance(begun, CellText)
    assert joined.text == f"{begun.text}ended\n"


async def test_call_that_has_ended_is_replayed(sandbox: RunningSandbox, session: SandboxSession) -> None:
    first = await sandbox.run(session, "n = globals().get('n', 0) + 1; n", call_id="call_1")

    again = await sandbox.run(session, "", call_id="call_1")

    assert again == first
    assert (await sandbox.run(session, "n")).text == "1\n"


async def test_acknowledged_call_is_forgotten_and_not_run_again(
    sandbox: RunningSandbox, session: SandboxSession
) -> None:
    await sandbox.run(session, "1", call_id="call_1")

    await sandbox.client.acknowledge(session, "call_1")

    with pytest.raises(CellUnknown):
        await sandbox.run(session, "1", call_id="call_1")


async def test_only_the_newest_calls_are_kept(sandbox: RunningSandbox, session: SandboxSession) -> None:
    for number in range(18):
        await sandbox.run(session, str(number), call_id=f"call_{number}")

    with pytest.raises(CellUnknown):
        await sandbox.run(session, "0", call_id="call_1")
    assert (await sandbox.run(session, "", call_id="call_17")).text == "17\n"


async def test_calls_of_a_session_run_one_after_another(sandbox: RunningSandbox, session: SandboxSession) -> None:
    code = "import time\nx = globals().get('x', 0); time.sleep(.2); x += 1; x"

    ran = await asyncio.gather(*(sandbox.run(session, code) for _ in range(3)))

    assert sorted(each.text for each in ran) == ["1\n", "2\n", "3\n"]


async def test_waiting_call_that_is_interrupted_does_not_run(sandbox: RunningSandbox, session: SandboxSession) -> None:
    running = await sandbox.begin(session, f"print('in', flush=True); {SLEEP}", "call_1")
    waiting = asyncio.create_task(sandbox.run(session, "ran = 1", call_id="call_2"))

    async def is_known() -> bool:
        try:
            await anext(sandbox.client.image(session, "call_2", 0))
        except CellUnknown as unknown:
            return "image" in str(unknown)
        return False

    await until(is_known, "the second call does not arrive")
    await sandbox.client.interrupt(session, "call_2")
    await sandbox.client.interrupt(session, "call_1")

    assert (await waiting).done.ending is CellEnding.INTERRUPTED
    assert (await running).done.ending is CellEnding.INTERRUPTED
    assert (await sandbox.run(session, "'ran' in globals()")).text == "False\n"


async def test_interrupt_of_a_call_that_does_not_run_does_nothing(
    sandbox: RunningSandbox, session: SandboxSession
) -> None:
    await sandbox.client.interrupt(session, "call_1")
    await sandbox.run(session, "1", call_id="call_2")

    await sandbox.client.interrupt(session, "call_2")

    assert (await sandbox.run(session, "2")).text == "2\n"


async def test_put_file_is_read_by_both_names_and_is_no_change(
    sandbox: RunningSandbox, session: SandboxSession
) -> None:
    content = b"a,b\n1,2\n"

    await sandbox.client.put_file(session, file_of("in/data.csv", content), once(content), alias="file-abc")
    ran = await sandbox.run(session, "print(open('in/data.csv').read() == open('/mnt/data/file-abc').read())")

    assert ran.text == "True\n"
    assert (ran.done.changed, ran.done.skipped) == ((), ())
    assert (await sandbox.client.open(session)).files == (file_of("in/data.csv", content),)
    assert await fetched(sandbox, session, "in/data.csv") == content


async def test_file_that_is_not_what_was_said_is_refused_whole(
    sandbox: RunningSandbox, session: SandboxSession
) -> None:
    for said in (SandboxFile("x", 3, sha256(b"abcd")), SandboxFile("x", 4, sha256(b"other")), SandboxFile("x", 9, "")):
        with pytest.raises(SandboxFileRefused):
            await sandbox.client.put_file(session, said, once(b"abcd"))

    assert (await sandbox.run(session, "import os; os.listdir()")).text == "[]\n"


@pytest.mark.parametrize("name", ["../x", "/x", "a/../x", "a//x", ".", "", "a\nb", "x" * 256, "a/" * 40 + "x"])
async def test_file_name_that_leads_elsewhere_is_refused(
    sandbox: RunningSandbox, session: SandboxSession, name: str
) -> None:
    with pytest.raises(SandboxFileRefused):
        await sandbox.client.put_file(session, file_of(name, b"x"), once(b"x"))


async def test_put_replaces_a_file_and_never_what_a_link_leads_to(
    sandbox: RunningSandbox, session: SandboxSession
) -> None:
    await sandbox.run(session, "import os; os.symlink('/tmp/elsewhere', 'x.txt'); os.symlink('/tmp', 'folder')")

    await sandbox.client.put_file(session, file_of("x.txt", b"new"), once(b"new"))
    with pytest.raises(SandboxFileRefused):
        await sandbox.client.put_file(session, file_of("folder/x.txt", b"new"), once(b"new"))

    assert (await sandbox.run(session, "os.path.islink('x.txt'), open('x.txt').read()")).text == "(False, 'new')\n"


async def test_changed_and_removed_files_are_named(sandbox: RunningSandbox, session: SandboxSession) -> None:
    await sandbox.client.put_file(session, file_of("kept", b"k"), once(b"k"))
    await sandbox.client.put_file(session, file_of("changed", b"c"), once(b"c"))
    await sandbox.client.put_file(session, file_of("removed", b"r"), once(b"r"))

    ran = await sandbox.run(
        session,
        "import os; os.remove('removed'); open('changed', 'w').write('C'); os.utime('changed', (0, 0))\n"
        "os.makedirs('out/deep'); open('out/deep/new', 'w').write('n'); open('kept', 'w').write('k')",
    )

    assert ran.done.changed == (file_of("changed", b"C"), file_of("out/deep/new", b"n"))
    assert ran.done.removed == ("removed",)
    assert await fetched(sandbox, session, "out/deep/new") == b"n"
    with pytest.raises(SandboxFileMissing):
        await fetched(sandbox, session, "removed")


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
        await sandbox.run(session, "1")

        async def has_none() -> bool:
            return (await sandbox.client.health()).sessions == 0

        await until(has_none, "the idle session is still there")

        with pytest.raises(SessionGone):
            await sandbox.run(session, "1")


@pytest.mark.slow
async def test_session_ends_with_its_lifetime_although_it_is_used() -> None:
    async with running_sandbox(lifetime_seconds="2") as sandbox:
        session = await sandbox.session()

        async def is_gone() -> bool:
            try:
                await sandbox.run(session, "1")
            except SessionGone:
                return True
            return False

        await until(is_gone, "the session lives on")


@pytest.mark.slow
async def test_full_sandbox_ends_the_longest_idle_session_and_none_that_runs() -> None:
    async with running_sandbox(sessions="2") as sandbox:
        oldest, other = await sandbox.session(), await sandbox.session()
        await sandbox.run(oldest, "1")
        running = await sandbox.begin(other, f"print('in', flush=True); {SLEEP}", "call_1")

        third = await sandbox.session()
        with pytest.raises(SessionGone):
            await sandbox.run(oldest, "1")
        also = await sandbox.begin(third, f"print('in', flush=True); {SLEEP}", "call_1")
        with pytest.raises(SandboxUnavailable, match="As many sessions"):
            await sandbox.session()

        for session, cell in ((other, running), (third, also)):
            await sandbox.client.interrupt(session, "call_1")
            assert (await cell).done.ending is CellEnding.INTERRUPTED


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
