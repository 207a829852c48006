"""How `holdfast up` treats its processes, shown with small programs."""

import asyncio
import os
import re
import signal
import sys
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from cli import parts
from cli.parts import Part, PartFailed, StartRefused, running
from tests.cli.program import is_alive, wait_until
from tests.program import until

pytestmark = pytest.mark.slow

WAITS = "import threading; threading.Event().wait()"
SERVES = f"print('It is ready.', flush=True); {WAITS}"
IGNORES_SIGTERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SERVES}"


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "FIRST_RESTART_DELAY", timedelta(milliseconds=1))
    monkeypatch.setattr(parts, "MAX_RESTART_DELAY", timedelta(milliseconds=10))


def part(program: str) -> Part:
    return Part("worker 1", [sys.executable, "-c", program], os.environ)


def process_of(serving: Part) -> psutil.Process:
    assert serving.process is not None
    return psutil.Process(serving.process.pid)


async def test_all_parts_end_with_the_block() -> None:
    api, worker = part(SERVES), part(SERVES)

    async with running(api, worker):
        processes = [process_of(api), process_of(worker)]
        assert all(map(is_alive, processes))

    assert not any(map(is_alive, processes))


async def test_a_part_that_dies_is_started_again() -> None:
    worker = part(SERVES)
    async with running(worker):
        first = process_of(worker)
        first.kill()

        async def is_back() -> bool:
            return worker.process is not None and worker.process.pid != first.pid and is_alive(process_of(worker))

        await until(is_back, "it is not started again")


async def test_a_part_that_dies_again_and_again_ends_the_block(tmp_path: Path) -> None:
    starts, served = tmp_path / "starts", tmp_path / "served"
    os.mkfifo(served)
    # It serves, and ends; at first not before the block has begun.
    worker = part(
        f"import pathlib; open({str(starts)!r}, 'a').write('x'); print('It is ready.', flush=True); "
        f"p = pathlib.Path({str(served)!r}); p.exists() and (p.read_text(), p.unlink()); exit(3)"
    )

    async def run() -> None:
        async with running(worker):
            served.write_text("")
            await asyncio.Event().wait()

    with (
        capture_logs() as logs,
        pytest.raises(PartFailed, match=r"^The worker 1 died 10 times in a row, with exit code 3\. Look into its log"),
    ):
        await run()

    assert starts.read_text() == "x" * 10
    delays = [entry["restart_in_seconds"] for entry in logs if entry["event"] == "part.died"]
    assert delays == [0, 0.001, 0.002, 0.004, 0.008, 0.01, 0.01, 0.01, 0.01]


async def test_a_part_that_fails_to_start_again_counts_as_dead(tmp_path: Path) -> None:
    started = tmp_path / "started"
    # The second start is refused.
    once = f"import pathlib, sys; p = pathlib.Path({str(started)!r}); p.exists() and sys.exit(1); p.touch(); {SERVES}"
    worker = part(once)

    async def run_and_kill() -> None:
        async with running(worker):
            process_of(worker).kill()
            await asyncio.Event().wait()

    with pytest.raises(PartFailed, match="died 10 times in a row, with exit code 1"):
        await run_and_kill()


async def test_a_start_that_the_program_refuses_needs_no_other_words() -> None:
    with pytest.raises(StartRefused):
        async with running(part("exit(1)"), part(SERVES)):
            pass


async def test_a_program_that_breaks_at_its_start() -> None:
    with pytest.raises(PartFailed, match="The worker 1 ended before it served, with exit code -9"):
        async with running(part(SERVES), part("import os; os.kill(os.getpid(), 9)")):
            pass


async def test_a_program_that_never_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "START_TIMEOUT", timedelta(seconds=0.2))

    with pytest.raises(PartFailed, match=r"The worker 1 does not serve after 0 s\."):
        async with running(part(WAITS)):
            pass


async def test_a_program_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "STOP_TIMEOUT", timedelta(seconds=0.2))
    worker = part(IGNORES_SIGTERM)

    async with running(worker):
        process = process_of(worker)

    assert not is_alive(process)


async def test_a_part_that_others_need_outlives_a_sigterm_for_all() -> None:
    # It would be started again otherwise, as another process.
    needed = Part("event stream", [sys.executable, "-c", SERVES], os.environ, is_needed_to_the_end=True)
    async with running(needed):
        process = process_of(needed)
        process.terminate()

        pending = await asyncio.to_thread(_pending_signals, process)
        assert pending & (1 << (signal.SIGTERM - 1))
        assert is_alive(process)

    assert not is_alive(process)


def _pending_signals(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.findall(r"^ShdPnd:\s+(\w+)$", status, re.MULTILINE)[0], 16)


async def test_the_output_of_a_part_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    async with running(
        part(f"import signal; signal.signal(signal.SIGTERM, lambda *_: exit(print('the end'))); {SERVES}")
    ):
        pass

    assert "the end" in capfd.readouterr().out


async def test_work_that_ends_by_itself() -> None:
    await part("exit(0)").run_to_end()
    with pytest.raises(StartRefused):
        await part("exit(1)").run_to_end()
    with pytest.raises(PartFailed, match="The worker 1 ended, with exit code 2"):
        await part("exit(2)").run_to_end()


async def test_a_parent_that_is_killed_takes_its_parts_with_it(tmp_path: Path) -> None:
    runs_part = f"""
import asyncio, os, sys
from cli.parts import Part, running
async def main():
    worker = Part("worker 1", [sys.executable, "-c", {SERVES!r}], os.environ)
    async with running(worker):
        open({str(tmp_path / "pid")!r}, "w").write(str(worker.process.pid))
        await asyncio.Event().wait()
asyncio.run(main())
"""
    supervisor = await asyncio.create_subprocess_exec(sys.executable, "-c", runs_part)
    pid = tmp_path / "pid"
    await asyncio.to_thread(wait_until, lambda: pid.exists() and bool(pid.read_text()))
    process = psutil.Process(int(pid.read_text()))

    supervisor.kill()
    await supervisor.wait()

    await asyncio.to_thread(wait_until, lambda: not is_alive(process))
