"""Runs with the code interpreter, in a real sandbox. Its Python has a small Pillow, whose images are all alike."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infra.database import sandbox_sessions
from infra.sandbox.bubblewrap import find_interpreter
from infra.sandbox.packages import Packages
from models.code_cells import SandboxFile, SandboxSession
from tests.holdfast import RunningHoldfast, function_tool
from tests.provider.replies import Calls
from tests.sandbox_process import RunningSandbox, running_sandbox

CODE: Any = {"type": "code_interpreter"}
IN_TEXT = "code-in-text"
"""A model without function calling."""
PNG = b"\x89PNG\r\n\x1a\nnot really"
SHOW_IMAGE = "from PIL import Image\nImage.Image()"
WAITS = """import os, time
print("first")
while not os.path.exists("/mnt/data/go"):
    time.sleep(0.02)
print("second")"""
"""Runs until a file `go` is put into its folder."""

PILLOW = f"class Image:\n    def save(self, content, kind):\n        content.write({PNG!r})\n"


def python(*codes: str, **more: Any) -> Calls:
    """An answer that runs each code."""
    return Calls(*(("python", json.dumps({"code": code})) for code in codes), **more)


@contextmanager
def small_packages() -> Iterator[Path]:
    """A folder in which a sandbox finds its packages installed: the small Pillow."""
    with TemporaryDirectory(prefix="holdfast-packages-") as name:
        folder = Path(name)
        # Also for the user that runs the code of a sandbox of root.
        folder.chmod(0o755)
        package = Packages.of(find_interpreter(), "", folder).folder / "PIL"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "Image.py").write_text(PILLOW)
        yield folder


@asynccontextmanager
async def coding_sandbox() -> AsyncIterator[tuple[RunningSandbox, str]]:
    """A sandbox, and the setting that leads to it."""
    with small_packages() as packages:
        async with running_sandbox(packages) as sandbox:
            yield sandbox, f"unix://{sandbox.folder.parent / 'sandbox.sock'}"


async def coding(holdfast: RunningHoldfast, model: str, *functions: str, **fields: Any) -> str:
    """An assistant with the code interpreter, and functions of these names. Returns its id."""
    tools = [CODE, *map(function_tool, functions)]
    created = await holdfast.client.beta.assistants.create(model=model, tools=tools, **fields)
    return created.id


async def session_of(holdfast: RunningHoldfast, thread_id: str) -> SandboxSession:
    stored = await holdfast.resources.database.read(sandbox_sessions.find, thread_id)
    assert stored is not None
    return stored.session


async def put_file(holdfast: RunningHoldfast, thread_id: str, name: str, content: bytes) -> None:
    """Put a file into the folder of a thread's session."""
    sandbox, session = holdfast.resources.code_sandbox, await session_of(holdfast, thread_id)
    assert sandbox is not None

    async def pieces() -> AsyncIterator[bytes]:
        yield content

    file = SandboxFile(name, len(content), hashlib.sha256(content).hexdigest())
    await sandbox.put_file(session, file, pieces())


async def steps_of(holdfast: RunningHoldfast, run: Any) -> list[Any]:
    ids = (run["id"], run["thread_id"]) if isinstance(run, dict) else (run.id, run.thread_id)
    page = await holdfast.client.beta.threads.runs.steps.list(ids[0], thread_id=ids[1], order="asc")
    return [step.to_dict() for step in page.data]


async def code_of(holdfast: RunningHoldfast, run: Any) -> list[Any]:
    """The code interpreter's calls of a run."""
    steps = await steps_of(holdfast, run)
    calls = [call for step in steps for call in step["step_details"].get("tool_calls", ())]
    return [call["code_interpreter"] for call in calls if call["type"] == "code_interpreter"]


def logs_of(code: Any) -> str:
    return "".join(output["logs"] for output in code["outputs"] if output["type"] == "logs")


def told(request: Any) -> list[str]:
    """The outputs of tools in a request to the model."""
    return [message["content"] for message in request["messages"] if message["role"] == "tool"]
