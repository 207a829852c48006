"""Opens files in a folder that hostile code writes to: below it, through no link, and never a device or a pipe."""

import ctypes
import os
import stat
import struct

OPENAT2 = 437
# RESOLVE_NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS and BENEATH: openat2(2).
RESOLVE = 0x01 | 0x02 | 0x04 | 0x08
# A pipe that is opened for reading would otherwise wait for a writer.
READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
FOLDER = READ | os.O_DIRECTORY

_libc = ctypes.CDLL(None, use_errno=True)


class NotCollected(Exception):
    """`str()` of it says why a file is left alone."""


def open_folder(path: str | os.PathLike[str]) -> int:
    return os.open(path, FOLDER)


def open_beneath(folder: int, name: str | bytes, flags: int = READ) -> int:
    """A descriptor of `name`, relative to `folder`. Raises `OSError` where the way to it leads through a link."""
    how = struct.pack("QQQ", flags, 0, RESOLVE)
    descriptor: int = _libc.syscall(OPENAT2, folder, os.fsencode(name), how, len(how))
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return descriptor


def open_file_beneath(folder: int, name: str | bytes) -> int:
    """A descriptor of a regular file with one name. Raises `NotCollected`, `OSError`."""
    descriptor = open_beneath(folder, name)
    state = os.fstat(descriptor)
    if stat.S_ISREG(state.st_mode) and state.st_nlink == 1:
        return descriptor
    os.close(descriptor)
    raise NotCollected("it has several names" if stat.S_ISREG(state.st_mode) else "it is no regular file")
