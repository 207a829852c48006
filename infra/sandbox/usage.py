"""What the processes of boxes use at this moment, read from /proc. Blocks for some milliseconds."""

import contextlib
import itertools
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.code_cells import DATA_FOLDER

PROC = Path("/proc")
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
ENDED = "Z"
MEMORY_FOLDERS = ("tmp", "dev/shm")
DELETED = re.compile(rb" (\d+) +%s/.* \(deleted\)$" % DATA_FOLDER.encode(), re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one box: bytes of memory, tasks (processes and threads), seconds of processor time, and what its files take.

    `unlinked` are bytes on disk of files that have no name any more and are still open, `mapped` counts those that are
    only mapped into memory, of which nobody knows the size; `memory_files` counts the files that it has in memory.
    """

    memory: int = 0
    tasks: int = 0
    cpu: float = 0.0
    unlinked: int = 0
    mapped: int = 0
    memory_files: int = 0


def usage_of(roots: Iterable[int], enough_memory: int) -> Mapping[int, Usage]:
    """The usage of each box, by its first process. Memory below `enough_memory` bytes is an upper bound."""
    children = _children()
    return {root: _usage(_tree(root, children), enough_memory) for root in roots}


def processes_of(root: int) -> list[int]:
    """The process that a box began with, and all that descend from it."""
    return _tree(root, _children())


def _children() -> Mapping[int, list[int]]:
    children: dict[int, list[int]] = defaultdict(list)
    for name in os.listdir(PROC):  # noqa: PTH208 - the names alone
        if name.isdigit() and (fields := _stat(int(name))):
            children[int(fields[1])].append(int(name))
    return children


def _tree(root: int, children: Mapping[int, list[int]]) -> list[int]:
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def _usage(pids: list[int], enough_memory: int) -> Usage:
    memory, tasks, ticks, living = 0, 0, 0, list[int]()
    for pid in pids:
        if fields := _stat(pid):
            # utime, stime, and those of children that ended; then the number of threads and the resident pages.
            ticks += sum(int(each) for each in fields[11:15])
            tasks += int(fields[17])
            thread = _living_thread(pid, fields)
            shown = fields if thread == pid else _stat(thread)
            memory += int(shown[21]) * PAGE if shown else 0
            living.append(thread)
    if memory > enough_memory:
        # Pages that processes share count for each of them in the cheaper figure.
        memory = sum(map(proportional_memory, living))
    in_memory, memory_files = _memory_file_systems(pids)
    opened = _opened_without_name(living)
    mapped = _mapped_without_name(living) - {inode for _, inode in opened}
    return Usage(memory + in_memory, tasks, ticks / TICKS, sum(opened.values()), len(mapped), memory_files)


def _living_thread(pid: int, fields: list[str]) -> int:
    """The first thread, or another one where code has ended the first: that one shows neither memory nor files."""
    if fields[0] != ENDED:
        return pid
    return next((thread for thread in _threads(pid) if _stat(thread)[:1] not in ([], [ENDED])), pid)


def _threads(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(name) for name in os.listdir(PROC / str(pid) / "task")]  # noqa: PTH208
    return []


def _stat(pid: int) -> list[str]:
    """The fields after the program's name, which may have spaces and brackets in it. Empty where it has ended."""
    try:
        return (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def proportional_memory(pid: int) -> int:
    """Bytes of memory of a process (PSS); 0 where it has ended."""
    with contextlib.suppress(OSError):
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _memory_file_systems(pids: list[int]) -> tuple[int, int]:
    # The last process is one in the box; the first, bubblewrap's own, is not.
    for pid in reversed(pids[1:]):
        with contextlib.suppress(OSError):
            states = [os.statvfs(PROC / str(pid) / "root" / folder) for folder in MEMORY_FOLDERS]
            return (
                sum((each.f_blocks - each.f_bfree) * each.f_frsize for each in states),
                sum(each.f_files - each.f_ffree for each in states),
            )
    return 0, 0


def _opened_without_name(pids: list[int]) -> Mapping[tuple[int, int], int]:
    """The bytes of files that are open, by device and inode. Threads may have descriptors of their own."""
    found: dict[tuple[int, int], int] = {}
    for thread in itertools.chain.from_iterable(map(_threads, pids[1:])):
        with contextlib.suppress(OSError):
            for descriptor in os.scandir(PROC / str(thread) / "fd"):
                with contextlib.suppress(OSError):
                    state = os.stat(descriptor.path)  # noqa: PTH116
                    if state.st_nlink == 0:
                        found[state.st_dev, state.st_ino] = state.st_blocks * 512
    return found


def _mapped_without_name(pids: list[int]) -> set[int]:
    """The inodes of files on disk: the other folders that code can write to are in memory."""
    found: set[int] = set()
    for pid in pids[1:]:
        with contextlib.suppress(OSError):
            found |= {int(each) for each in DELETED.findall((PROC / str(pid) / "maps").read_bytes())}
    return found
