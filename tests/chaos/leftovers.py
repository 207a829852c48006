"""What sandboxes may leave behind once all their threads are deleted: nothing, after a minute."""

from pathlib import Path

import psutil

from models.code_cells import DATA_FOLDER
from tests import program
from tests.chaos.stored import Stored
from tests.cli.program import command_line

WITHIN_SECONDS = 60
BOXES_IN_ADVANCE = 2


async def leftovers_of(sandboxes: Path, stored: Stored) -> list[str]:
    """The sessions, folders and processes that are left; `sandboxes` has the folders of all that were ever started."""
    found: list[str] = []

    async def nothing() -> bool:
        nonlocal found
        rows = await stored.sandbox_sessions()
        found = [*_found(sandboxes), *([f"{rows} sessions of deleted threads have rows"] if rows else [])]
        return not found

    try:
        await program.until(nothing, "something is left", WITHIN_SECONDS)
    except AssertionError:
        return found
    return []


def _found(sandboxes: Path) -> list[str]:
    folders = list(sandboxes.iterdir())
    sessions = [each for folder in folders for each in (folder / "sessions").glob("*")]
    found = [f"{len(folders)} sandboxes have folders"] if len(folders) > 1 else []
    if len(sessions) > BOXES_IN_ADVANCE:
        found.append(f"{len(sessions)} sessions have folders")
    boxes = [line for line in map(command_line, psutil.process_iter()) if _is_box(line, sandboxes)]
    gone = [line for line in boxes if not any(str(each) in line for each in sessions)]
    return found + [f"a box is left: {' '.join(line)}" for line in gone]


def _is_box(line: list[str], sandboxes: Path) -> bool:
    return DATA_FOLDER in line and any(part.startswith(f"{sandboxes}/") for part in line)
