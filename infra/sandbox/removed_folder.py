"""Removes the folder of a session, in which its code may have done anything."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def remove_folder(path: Path) -> None:
    """Remove a folder of which no process is left, whatever the code did to its rights, and however deep it is.

    What something else holds on to is left, to be removed at the end of the sandbox.
    """
    with suppress(OSError):
        path.chmod(0o700)
        while entries := [*os.scandir(path)]:
            if not sum(_is_removed(entry, path) for entry in entries):
                return
        path.rmdir()


def _is_removed(entry: os.DirEntry[str], top: Path) -> bool:
    try:
        if entry.is_dir(follow_symlinks=False):
            _remove_folder_within(entry.path, top)
        else:
            os.unlink(entry.path)  # noqa: PTH108 - names of any bytes
    except OSError:
        return False
    return True


def _remove_folder_within(path: str, top: Path) -> None:
    """What is in it moves to the top: so no path is too long, and no call nests."""
    os.chmod(path, 0o700)  # noqa: PTH101
    for each in [*os.scandir(path)]:
        if each.is_dir(follow_symlinks=False):
            # Without rights of its own it could not be moved.
            os.chmod(each.path, 0o700)  # noqa: PTH101
            os.rename(each.path, top / secrets.token_hex(8))  # noqa: PTH104
        else:
            os.unlink(each.path)  # noqa: PTH108
    os.rmdir(path)  # noqa: PTH106
