"""What code in a box may use, and how long a session lives."""

from dataclasses import dataclass
from datetime import timedelta

from infra.settings import Settings

MEGABYTE = 1 << 20
MAX_FILE_BYTES = 128 * MEGABYTE
TMP_BYTES = 64 * MEGABYTE
SHARED_MEMORY_BYTES = 16 * MEGABYTE
MAX_OPEN_FILES = 256
MAX_CPU = timedelta(hours=1)
"""Of one process of a box, over all its cells."""

MAX_IMAGES = 20
MAX_IMAGE_BYTES = 8 * MEGABYTE
MAX_OUTPUT_BYTES = 256 * 1024
INTERRUPT_GRACE = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class FolderUse:
    """Bytes, and the number of files and folders; `is_hidden`: some of them could not be counted."""

    size: int = 0
    count: int = 0
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """`cell` bounds the time of one cell. A session ends `lifetime` after its start, or `idle` after its last cell."""

    memory: int
    disk: int
    files: int
    processes: int
    cell: timedelta
    idle: timedelta
    lifetime: timedelta
    sessions: int

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        return cls(
            memory=settings.sandbox_memory_mb * MEGABYTE,
            disk=settings.sandbox_disk_mb * MEGABYTE,
            files=settings.sandbox_files,
            processes=settings.sandbox_processes,
            cell=timedelta(seconds=settings.sandbox_cell_seconds),
            idle=timedelta(seconds=settings.sandbox_idle_seconds),
            lifetime=timedelta(seconds=settings.sandbox_lifetime_seconds),
            sessions=settings.sandbox_sessions,
        )

    @property
    def largest_file(self) -> int:
        return min(MAX_FILE_BYTES, self.disk)

    def complaint_of_files(self, used: FolderUse, unlinked: int = 0) -> str:
        """Why a session cannot keep its files, as a part of a sentence; empty where it can."""
        if used.size + unlinked > self.disk or used.count > self.files:
            return f"its files took more than the limit of {self.disk // MEGABYTE} MB or {self.files} files"
        return "its files cannot be counted: a folder is closed or lies too deep" if used.is_hidden else ""

    def of_processes(self) -> dict[str, int]:
        """The limits that the kernel keeps of each process, by the names of Python's `resource`."""
        return {
            "RLIMIT_AS": 2 * self.memory,
            "RLIMIT_NPROC": self.processes,
            "RLIMIT_FSIZE": self.largest_file,
            "RLIMIT_NOFILE": MAX_OPEN_FILES,
            "RLIMIT_CPU": int(MAX_CPU.total_seconds()),
            "RLIMIT_CORE": 0,
            "RLIMIT_MEMLOCK": 64 * 1024,
            "RLIMIT_MSGQUEUE": 0,
            "RLIMIT_SIGPENDING": 1024,
        }
