"""A sandbox that is killed, and one that is stopped, leaves nothing behind: no process, no folder."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path

import psutil
import pytest

from infra.removed_at_end import REMOVE_AT_END
from infra.sandbox.box import BOX_USER
from infra.sandbox.bubblewrap import runs_as_root
from tests.program import until
from tests.sandbox_process import RunningSandbox, running_sandbox

pytestmark = [pytest.mark.slow, pytest.mark.any_database]
MARK = f"mark-{os.urandom(8).hex()}"
LEAVES_MUCH = f"""
import subprocess, sys
open("x", "w").write("x")
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(4343)", {MARK!r}], start_new_session=True)
print("in", flush=True)
import time; time.sleep(30)
"""


def processes_with(part: str) -> list[list[str]]:
    commands = [each.info["cmdline"] or [] for each in psutil.process_iter(["cmdline"])]
    return [command for command in commands if any(part in argument for argument in command)]


async def nothing_is_left(sandbox: RunningSandbox) -> None:
    async def nothing() -> bool:
        processes = processes_with(str(sandbox.folder)) + processes_with(MARK)
        return not processes and not [*sandbox.folder.iterdir()]

    await until(nothing, "the sandbox has left something")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_sandbox_that_ends_leaves_no_process_and_no_folder(how: signal.Signals) -> None:
    async with running_sandbox() as sandbox:
        session = await sandbox.session()
        cell = await sandbox.begin(session, LEAVES_MUCH)
        assert processes_with(MARK)
        assert sandbox.program.process is not None

        sandbox.program.process.send_signal(how)
        sandbox.program.process.wait()

        await nothing_is_left(sandbox)
        cell.cancel()


async def test_sandbox_ends_with_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([*sys.argv[1:], '--stop-with-parent', str(os.getpid())])\n"
        "child.wait()\n"
    )
    async with running_sandbox(under=str(script)) as sandbox:
        session = await sandbox.session()
        cell = await sandbox.begin(session, LEAVES_MUCH)

        sandbox.program.kill()

        await nothing_is_left(sandbox)
        assert not processes_with("cli.main sandbox")
        cell.cancel()


def test_folder_that_code_has_closed_is_removed_at_the_end() -> None:
    # Root would need no rights.
    user = BOX_USER if runs_as_root() else None
    with tempfile.TemporaryDirectory(prefix="holdfast-test-") as name:
        Path(name).chmod(0o777)
        made = Path(name) / "run"
        closing = 'mkdir -p "$0/closed/below" && touch "$0/closed/below/x" && chmod 0 "$0/closed"'
        subprocess.run(["/bin/sh", "-c", closing, str(made)], user=user, check=True)

        subprocess.run(["/bin/sh", "-c", REMOVE_AT_END, str(made)], user=user, input=b"", check=True)

        assert not made.exists()
