"""Watches over what no limit of the kernel binds: memory of a session's processes together, its disk, its idle work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil

from infra.sandbox.limits import MEGABYTE, FolderUse, Limits
from infra.sandbox.usage import Usage, usage_of

WHILE_BUSY, WHILE_IDLE = timedelta(seconds=0.2), timedelta(seconds=1)
MAX_IDLE_CPU_SECONDS = 5
"""Of processor time that a session may use between cells, by threads and processes that its code left behind."""

MAX_MEMORY_FILES = 20_000
LEAST_FREE_DISK = 256 * MEGABYTE
LEAST_FREE_MEMORY = 0.05
CONTAINER = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Watched:
    """A session with a box. `cpu_when_idle` is its processor time at the end of its last cell, None while one runs."""

    root: int
    folder: Path
    cpu_when_idle: float | None


def measure(watched: Sequence[Watched], limits: Limits) -> Mapping[int, Usage]:
    """Blocks for some milliseconds."""
    return usage_of((each.root for each in watched), limits.memory) if watched else {}


def complaint(usage: Usage, used: FolderUse, watched: Watched, limits: Limits) -> str:
    """Why the box has to be ended, as a part of a sentence; empty where it may go on."""
    if usage.memory > limits.memory:
        return f"its code used more than the limit of {limits.memory // MEGABYTE} MB of memory"
    # bubblewrap is two of them; the kernel's own limit binds before.
    if usage.tasks > limits.processes + 8:
        return f"its code had more than the limit of {limits.processes} processes"
    if words := limits.complaint_of_files(used, usage.unlinked + usage.mapped * limits.largest_file):
        return words
    if usage.memory_files > MAX_MEMORY_FILES:
        return f"its code had more than {MAX_MEMORY_FILES} files in memory"
    if watched.cpu_when_idle is not None and usage.cpu - watched.cpu_when_idle > MAX_IDLE_CPU_SECONDS:
        return "its code went on to compute after its call had ended"
    return ""


def disk_is_full(folder: Path) -> bool:
    return psutil.disk_usage(str(folder)).free < LEAST_FREE_DISK


def memory_is_short(container: Path = CONTAINER) -> bool:
    """Of the machine, or of the container with its limit."""
    memory = psutil.virtual_memory()
    return bool(memory.available < LEAST_FREE_MEMORY * memory.total) or _is_short_within(container)


def _is_short_within(container: Path) -> bool:
    try:
        most = (container / "memory.max").read_text().strip()
        used = int((container / "memory.current").read_text())
        counts = dict(line.split() for line in (container / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return False
    # What is cached of files is given up before anything ends.
    cache = int(counts.get("inactive_file", 0)) + int(counts.get("active_file", 0))
    return most != "max" and int(most) - used + cache < LEAST_FREE_MEMORY * int(most)
