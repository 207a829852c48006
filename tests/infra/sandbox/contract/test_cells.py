"""What `CodeSandbox` promises of cells, shown with a real sandbox over its socket."""

import asyncio
from datetime import timedelta

import pytest

from infra.sandbox.errors import (
    CellUnknown,
)
from models.code_cells import CellDone, CellEnding, CellText, SandboxSession, SessionFate
from tests.program import until
from tests.sandbox_process import RunningSandbox

pytestmark = pytest.mark.xdist_group("sandbox-contract")
LIMIT = timedelta(seconds=20)
SLEEP = "import time; time.sleep(30)"


async def test_variables_live_from_cell_to_cell(sandbox: RunningSandbox, session: SandboxSession) -> None:
    await sandbox.run(session, "import math\nx = 20\ndef double(n): return 2 * n")

    ran = await sandbox.run(session, "print('so'); double(x) + math.floor(2.5)")

    assert ran.text == "so\n42\n"
    assert (ran.done.ending, ran.done.fate) == (CellEnding.COMPLETED, SessionFate.KEPT)


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
    # Of a busy machine, the first piece may be the first word alone.
    assert joined.text.startswith(begun.text)
    assert joined.text.splitlines()[1:] == ["ended"]


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


async def test_code_that_is_too_long_is_not_run_and_that_is_said(
    sandbox: RunningSandbox, session: SandboxSession
) -> None:
    ran = await sandbox.run(session, "x = 1 #" + "x" * (1 << 20))

    assert (ran.done.ending, ran.done.fate) == (CellEnding.KILLED, SessionFate.KEPT)
    assert ran.done.reason == "The code is longer than 1,048,576 characters, so it was not run."
    assert (await sandbox.run(session, "'x' in globals()")).text == "False\n"


async def test_code_with_half_a_character_is_run_without_it(sandbox: RunningSandbox, session: SandboxSession) -> None:
    ran = await sandbox.run(session, "print('\ud83d!')")

    assert ran.text == "?!\n"
