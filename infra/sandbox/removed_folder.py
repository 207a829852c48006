"""Removes the folder of a session, in which its code may have done anything."""

import contextlib
import shutil
from pathlib import Path

from models.code_cells import MAX_FOLDERS


def remove_folder(path: Path) -> None:
    """Remove a folder of which no process is left, whatever the code did to its rights."""

    def open_up(_: object, failed: str, __: object) -> None:
        for folder in (Path(failed).parent, Path(failed)):
            with contextlib.suppress(OSError):
                if folder.is_relative_to(path) and not folder.is_symlink() and folder.is_dir():
                    folder.chmod(0o700)

    for _ in range(MAX_FOLDERS):
        shutil.rmtree(path, onerror=open_up)
        if not path.exists():
            return
