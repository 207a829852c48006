"""What sessions of code cost: 50 that wait, the first plot of one, and a cell beside its own work."""

import asyncio
import statistics
import time
from collections.abc import Sequence

from infra.sandbox.bubblewrap import find_interpreter
from infra.sandbox.packages import Packages
from infra.sandbox.usage import processes_of, proportional_memory
from models.code_cells import SandboxSession
from tests.sandbox_process import RunningSandbox, running_sandbox

SESSIONS = 50
CELLS = 200
PLOTS = 5
PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.title('squares')"
MEBIBYTE = 1 << 20
MOST_MEMORY_MIB, MOST_FIRST_PLOT_MS, MOST_ROUND_TRIP_MS = 10, 1500, 30
# Longer than a box with the great libraries takes to start.
UNTIL_NEXT_IS_STARTED = 6


def measure_sandbox() -> None:
    packages = Packages.of(find_interpreter(), "")
    packages.install()
    asyncio.run(_measure(packages))


async def _measure(packages: Packages) -> None:
    async with running_sandbox(packages.folder.parent, sessions=str(2 * SESSIONS)) as sandbox:
        await asyncio.sleep(UNTIL_NEXT_IS_STARTED)
        before = _memory(sandbox)
        print(f"the sandbox with two boxes in advance: {before / MEBIBYTE:.0f} MiB (PSS)")
        sessions = await _sessions(sandbox, before)
        await _round_trips(sandbox, sessions)
        await _first_plots(sandbox)


async def _sessions(sandbox: RunningSandbox, before: int) -> Sequence[SandboxSession]:
    began = time.monotonic()
    sessions = [await sandbox.session() for _ in range(SESSIONS)]
    await asyncio.gather(*(sandbox.run(session, "x = 1") for session in sessions))
    took = time.monotonic() - began
    each = (_memory(sandbox) - before) / SESSIONS / MEBIBYTE
    print(
        f"{SESSIONS} sessions: opened and used once in {took:.1f} s; each then takes {each:.1f} MiB (PSS; "
        f"at most {MOST_MEMORY_MIB})"
    )
    return sessions


async def _round_trips(sandbox: RunningSandbox, sessions: Sequence[SandboxSession]) -> None:
    took = []
    for number in range(CELLS):
        began = time.monotonic()
        await sandbox.run(sessions[number % SESSIONS], "x += 1")
        took.append(time.monotonic() - began)
    print(
        f"a cell that does nothing (at most {MOST_ROUND_TRIP_MS} ms), with {SESSIONS} sessions: {_milliseconds(took)}"
    )


async def _first_plots(sandbox: RunningSandbox) -> None:
    first: list[float] = []
    later: list[float] = []
    for _ in range(PLOTS):
        await asyncio.sleep(UNTIL_NEXT_IS_STARTED)
        session = await sandbox.session()
        for took in (first, later):
            began = time.monotonic()
            ran = await sandbox.run(session, PLOT)
            took.append(time.monotonic() - began)
            assert len(ran.images) == 1, ran
        await sandbox.client.close(session)
    print(f"the first plot of a session (at most {MOST_FIRST_PLOT_MS} ms): {_milliseconds(first)}")
    print(f"the second plot of a session: {_milliseconds(later)}")


def _memory(sandbox: RunningSandbox) -> int:
    assert sandbox.program.process is not None
    return sum(map(proportional_memory, processes_of(sandbox.program.process.pid)))


def _milliseconds(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    p95 = ordered[int(0.95 * (len(ordered) - 1))]
    return f"p50 {statistics.median(ordered) * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms"
