"""Finds out whether code can be kept in a box on this machine, by running some that looks around in it."""

import asyncio
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra.sandbox.beneath import FOLDER, open_beneath, open_folder
from infra.sandbox.box import BoxDied, BoxPlan
from infra.sandbox.boxes import Boxes

LOOK_AROUND = """
import json as _json, os as _os
_status = dict(_line.split(":\\t", 1) for _line in open("/proc/self/status") if ":\\t" in _line)
print(_json.dumps({"seccomp": _status["Seccomp"].strip(), "capabilities": int(_status["CapEff"], 16),
    "privileges": _status["NoNewPrivs"].strip(), "parent": _os.getppid(),
    "network": sorted(_line.split(":")[0].strip() for _line in open("/proc/self/net/dev").readlines()[2:]),
    "root": _os.access("/root", _os.F_OK) or _os.access("/home", _os.F_OK)}))
"""
EXPECTED = {"seccomp": "2", "capabilities": 0, "privileges": "1", "parent": 1, "network": ["lo"], "root": False}
NEXT_STEP = "Set HOLDFAST_SANDBOX_URL, or allow user namespaces: docs/code-interpreter.md."


@dataclass(frozen=True, slots=True)
class Isolation:
    """`name` says what keeps the code in its box; where it is None, `refusal` is the reason with the probe's words."""

    name: str | None
    refusal: str | None = None


def refused(words: str) -> Isolation:
    return Isolation(None, f"code_interpreter cannot run here: {' '.join(words.split())}. {NEXT_STEP}")


async def probe(plan: BoxPlan, boxes: Boxes) -> Isolation:
    """Runs a box; call it on the main thread."""
    said: list[bytes] = []
    try:
        box = await boxes.take("")
    except BoxDied as death:
        return refused(death.said or death.reason)
    except OSError as error:
        return refused(str(error))
    try:
        async with asyncio.timeout(10):
            await box.run(0, LOOK_AROUND, said.append, lambda _: None)
        found = json.loads(b"".join(said))
        _look_beneath(box.data)
    except (BoxDied, TimeoutError, ValueError) as error:
        return refused(f"the code in a probe's box did not run to its end ({type(error).__name__})")
    except OSError as error:
        return refused(f"openat2: {error.strerror}")
    finally:
        await boxes.discard(box)
    if found != EXPECTED:
        return refused(f"a probe in a box found {found} and not {EXPECTED}")
    return Isolation(await asyncio.to_thread(_version, plan))


def _look_beneath(path: Path) -> None:
    # Not every kernel has the call by which files are collected safely.
    folder = open_folder(path)
    try:
        os.close(open_beneath(folder, ".", FOLDER))
    finally:
        os.close(folder)


def _version(plan: BoxPlan) -> str:
    said = subprocess.run([str(plan.program), "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    return f"{said.stdout.strip() or 'bubblewrap'}, seccomp"
