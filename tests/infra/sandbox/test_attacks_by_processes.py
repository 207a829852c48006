"""Code that multiplies, hides, does not end, or forges what the sandbox reads."""

import os
import time
from datetime import timedelta

import psutil
import pytest

from infra.sandbox.usage import processes_of
from models.code_cells import CellEnding, SessionFate
from tests.infra.sandbox.conftest import LIMITS
from tests.program import until
from tests.sandbox_process import RunningSandbox

LIMIT = int(LIMITS["processes"])
SHORT = timedelta(seconds=1)

GENTLE = f"""
import os, signal, time
children = []
try:
    for number in range({LIMIT} + 10):
        child = os.fork()
        if not child:
            time.sleep(20)
            os._exit(0)
        children.append(child)
except OSError as error:
    pass
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
print(len(children))
"""

# A bomb in all but its size: the processes count together how many they are, and stop at 500.
BOMB = """
import mmap, os, struct, time
count = mmap.mmap(-1, 8)
def forked():
    count[:] = struct.pack("q", struct.unpack("q", count[:])[0] + 1)
    return os.fork()
end = time.monotonic() + 2
while time.monotonic() < end and struct.unpack("q", count[:])[0] < 500:
    try:
        forked()
    except OSError:
        time.sleep(0.05)
"""


def _processes_of(sandbox: RunningSandbox) -> list[int]:
    assert sandbox.program.process is not None
    return processes_of(sandbox.program.process.pid)


async def _no_more_than(sandbox: RunningSandbox, count: int) -> bool:
    return len(_processes_of(sandbox)) <= count


async def test_fork_bomb_is_stopped_by_a_limit_that_is_proven_first(sandbox: RunningSandbox) -> None:
    session = await sandbox.session()
    gentle = await sandbox.run(session, GENTLE)
    if int(gentle.text) >= LIMIT:
        pytest.fail(f"{gentle.text} children: nothing limits processes, so the bomb must not be thrown")

    bomb = await sandbox.run(session, BOMB, timedelta(seconds=6))
    most = len(_processes_of(sandbox))
    await sandbox.client.close(session)

    assert bomb.done.ending in (CellEnding.COMPLETED, CellEnding.KILLED, CellEnding.TIMED_OUT)
    assert most < LIMIT + 40
    # The sandbox, its cleaner, and two boxes of three processes that wait for sessions.
    await until(lambda: _no_more_than(sandbox, 10), "processes of the bomb are left")


async def test_daemon_does_not_outlive_its_session(sandbox: RunningSandbox) -> None:
    session, mark = await sandbox.session(), f"mark-{os.urandom(8).hex()}"
    await sandbox.run(
        session,
        f"""
import subprocess, sys
daemon = "import os, time; os.fork() and os._exit(0); time.sleep(4242)"
subprocess.run([sys.executable, "-c", daemon, {mark!r}], start_new_session=True)
""",
    )
    assert _with_argument(mark)

    await sandbox.client.close(session)

    assert not _with_argument(mark)


def _with_argument(part: str) -> list[int]:
    return [
        each.pid
        for each in psutil.process_iter(["cmdline"])
        if any(part in argument for argument in each.info["cmdline"] or [])
    ]


async def test_endless_loop_is_interrupted(sandbox: RunningSandbox) -> None:
    session = await sandbox.session()
    await sandbox.run(session, "kept = 5")

    began = time.monotonic()
    ran = await sandbox.run(session, "while True: pass", SHORT)
    took = time.monotonic() - began

    assert (ran.done.ending, ran.done.fate) == (CellEnding.TIMED_OUT, SessionFate.KEPT)
    assert ran.done.reason == "The call took longer than 1 s."
    assert took < 3
    assert (await sandbox.run(session, "kept")).text == "5\n"


async def test_loop_that_ignores_signals_is_killed(sandbox: RunningSandbox) -> None:
    began = time.monotonic()
    ran = await sandbox.run_alone(
        """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
""",
        SHORT,
    )
    took = time.monotonic() - began

    assert (ran.done.ending, ran.done.fate) == (CellEnding.TIMED_OUT, SessionFate.RESTARTED)
    assert took < 5


async def test_code_that_stops_itself_is_killed(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone(
        """
import os, signal
try:
    os.kill(1, signal.SIGKILL)
except OSError:
    pass
os.kill(os.getpid(), signal.SIGSTOP)
""",
        SHORT,
    )

    assert (ran.done.ending, ran.done.fate) == (CellEnding.TIMED_OUT, SessionFate.RESTARTED)


async def test_flood_of_output_is_cut_and_says_so(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone("print('begin')\nwhile True: print('A' * 1000)", SHORT)

    assert ran.done.ending is CellEnding.TIMED_OUT
    assert ran.text.startswith("begin\nAAA")
    assert f"[… {ran.done.left_out_bytes:,} bytes of output are left out …]" in ran.text
    assert len(ran.text) < 300_000


async def test_forged_frames_end_only_their_own_session(sandbox: RunningSandbox) -> None:
    forger, other = await sandbox.session(), await sandbox.session()
    await sandbox.run(other, "kept = 1")

    for forged in (
        r"b'R\0\0\0\0'",
        r"b'D\xff\xff\xff\xff garbage'",
        r"b'P\0\0\0\x03abc'",
        r"b'D\0\0\0\x03[[['",
        r"b'?\0\0\0\0'",
    ):
        ran = await sandbox.run(
            forger, f"import os\nfor n in range(3, 256):\n  try: os.write(n, {forged})\n  except OSError: pass"
        )
        assert (ran.done.ending, ran.done.fate) == (CellEnding.KILLED, SessionFate.RESTARTED)
        assert "wrote to the channel" in ran.done.reason

    assert (await sandbox.run(other, "kept")).text == "1\n"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os._exit(7)", "its Python ended with code 7"),
        ("import ctypes; ctypes.string_at(0)", "its Python was ended by signal 11"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "its Python was ended by signal 9"),
        ("import os; os.close(1); os.close(2); os._exit(0)", "its Python ended with code 0"),
    ],
)
async def test_end_of_the_python_restarts_the_session(sandbox: RunningSandbox, code: str, reason: str) -> None:
    session = await sandbox.session()
    await sandbox.run(session, "open('kept.txt', 'w').write('x')")

    ran = await sandbox.run(session, code)

    assert (ran.done.ending, ran.done.fate) == (CellEnding.KILLED, SessionFate.RESTARTED)
    assert reason in ran.done.reason
    opened = await sandbox.client.open(session)
    assert opened.is_new
    assert (await sandbox.run(session, "open('kept.txt').read()")).text == "'x'\n"
    await sandbox.client.close(session)


async def test_streams_that_the_code_breaks_are_no_end(sandbox: RunningSandbox) -> None:
    session = await sandbox.session()

    broken = await sandbox.run(session, "import sys; sys.stderr = None; 1/0")
    after = await sandbox.run(session, "1 + 1")

    assert broken.done.ending is CellEnding.RAISED
    assert after.text == "2\n"
    await sandbox.client.close(session)


@pytest.mark.slow
async def test_work_between_calls_is_ended(sandbox: RunningSandbox) -> None:
    session = await sandbox.session()
    await sandbox.run(
        session, "import threading\ndef work():\n  while True: pass\nthreading.Thread(target=work, daemon=True).start()"
    )

    async def has_ended() -> bool:
        return (await sandbox.client.open(session)).is_new

    await until(has_ended, "the thread still computes")
    await sandbox.client.close(session)


async def test_every_process_of_a_session_is_the_first_that_a_full_machine_ends(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone("!cat /proc/self/oom_score_adj")

    assert ran.text == "1000\n"
