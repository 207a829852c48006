"""The Temporal server that an unclean stop may leave behind: recorded by its process id, recognised, ended."""

from datetime import timedelta
from pathlib import Path

import psutil

END_TIMEOUT = timedelta(seconds=5)


def record(pid_file: Path, pid: int) -> None:
    """Note the server that runs now."""
    pid_file.write_text(str(pid))


def end_orphan(pid_file: Path, database: Path) -> None:
    """End the recorded process if it still runs and still is the server on `database`."""
    try:
        process = psutil.Process(int(pid_file.read_text()))
        # Process ids are used again: the record alone is no reason to end anything.
        if str(database) in process.cmdline():
            # SIGKILL at once: SQLite in WAL mode loses nothing by it.
            process.kill()
            process.wait(END_TIMEOUT.total_seconds())
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
        return
