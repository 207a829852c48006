"""A real `holdfast sandbox` as a process, and what a test sees of its cells. It ends with this process."""

import asyncio
import os
import sys
import sysconfig
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from infra.sandbox.bubblewrap import find_interpreter
from infra.sandbox.http_sandbox import HttpCodeSandbox
from infra.sandbox.packages import Packages
from models.code_cells import CellDone, CellImage, CellOutput, CellText, SandboxSession
from tests.cli.program import ROOT
from tests.postgres import unprivileged
from tests.program import Program

SECRET = "sk-a-secret-of-the-server"
SECONDS = timedelta(seconds=30)


@dataclass(frozen=True)
class Ran:
    """What a cell put out."""

    outputs: tuple[CellOutput, ...]

    @property
    def text(self) -> str:
        return "".join(each.text for each in self.outputs if isinstance(each, CellText))

    @property
    def images(self) -> list[CellImage]:
        return [each for each in self.outputs if isinstance(each, CellImage)]

    @property
    def done(self) -> CellDone:
        last = self.outputs[-1]
        assert isinstance(last, CellDone)
        return last


class RunningSandbox:
    """`folder` has the folders of its sessions."""

    def __init__(self, program: Program, client: HttpCodeSandbox, folder: Path) -> None:
        self.program = program
        self.client = client
        self.folder = folder

    @property
    def interpreter(self) -> Path:
        """The Python in its boxes."""
        return find_interpreter().program

    @property
    def log(self) -> str:
        return (self.folder.parent / "log.txt").read_text()

    async def session(self) -> SandboxSession:
        """A new one."""
        session = SandboxSession(f"thread_{os.urandom(8).hex()}", 0, await self.client.place())
        await self.client.open(session)
        return session

    async def run(self, session: SandboxSession, code: str, limit: timedelta = SECONDS, call_id: str = "") -> Ran:
        name = call_id or os.urandom(8).hex()
        return Ran(tuple([output async for output in self.client.run(session, name, code, limit)]))

    async def begin(self, session: SandboxSession, code: str, call_id: str = "") -> asyncio.Task[Ran]:
        """Run a cell, and return once it has put out something."""
        outputs = self.client.run(session, call_id or os.urandom(8).hex(), code, SECONDS)
        first = await anext(outputs)

        async def rest() -> Ran:
            return Ran((first, *[output async for output in outputs]))

        return asyncio.create_task(rest())

    async def run_alone(self, code: str, limit: timedelta = SECONDS) -> Ran:
        """In a session that is closed then."""
        session = await self.session()
        try:
            return await self.run(session, code, limit)
        finally:
            await self.client.close(session)


@asynccontextmanager
async def running_sandbox(
    packages: Path | None = None, as_nobody: bool = False, under: str = "", listen: str = "", **settings: str
) -> AsyncIterator[RunningSandbox]:
    """With the packages in `packages`, or without any; as another user than root where it is `as_nobody`.

    `under` is a script that becomes the program; `listen` is its port, if it is no socket.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-test-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        folder = place / "run"
        folder.mkdir()
        for each in (place, folder):
            each.chmod(0o777)
        listen = listen or f"unix://{place / 'sandbox.sock'}"
        environment = {
            # It must not get to the code.
            "OPENAI_API_KEY": SECRET,
            "PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")]),
            "HOLDFAST_SANDBOX_LISTEN": listen,
            "HOLDFAST_SANDBOX_DIR": str(folder),
            "HOLDFAST_SANDBOX_PACKAGES_DIR": str(packages or without_packages(place)),
            **{f"HOLDFAST_SANDBOX_{key.upper()}": value for key, value in settings.items()},
        }
        program = Program("the sandbox", _command(as_nobody, under), place / "log.txt", environment)
        client = HttpCodeSandbox(listen, "")
        running = RunningSandbox(program, client, folder)
        try:
            await program.start()
            yield running
        finally:
            await client.close_connections()
            await program.stop()


def without_packages(place: Path) -> Path:
    """A folder in which the sandbox finds its packages installed, none of them."""
    parent = place / "packages"
    Packages.of(find_interpreter(), "", parent).folder.mkdir(parents=True)
    return parent


def _command(as_nobody: bool, under: str) -> list[str]:
    holdfast = ["-P", "-m", "cli.main", "sandbox"]
    if not as_nobody:
        return [*([sys.executable, under] if under else []), sys.executable, *holdfast]
    # Its own tie to the parent comes after the change of the user.
    return [sys.executable, unprivileged.__file__, str(os.getpid()), str(find_interpreter().program), *holdfast]
