"""The folder of a session: what is put into it, what its cells changed, and what may be read from it.

All of it blocks and is called in threads. The code of the session may write to the folder at the same moment.
"""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from infra.sandbox.beneath import FOLDER, NotCollected, open_beneath, open_file_beneath, open_folder
from infra.sandbox.errors import SandboxFileMissing, SandboxFileRefused
from infra.sandbox.limits import FolderUse
from models.code_cells import MAX_FOLDERS, SandboxFile, SkippedFile, is_file_name

READ_BYTES = 256 * 1024
MAX_SKIPPED = 50
VANISHED = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
"""Errors by which something is gone, or is no folder any more. By any other, nothing is known of what is there."""

HIDDEN = {errno.EACCES, errno.EPERM, errno.ENAMETOOLONG}
"""Errors by which the code itself keeps a folder from being read."""


@dataclass(frozen=True, slots=True)
class Version:
    """If it is the same, so is the file's content: its last part is not for the code to set."""

    inode: int
    size: int
    modified: int
    changed: int


@dataclass(frozen=True, slots=True)
class Changes:
    """`number` is larger for later ones."""

    changed: tuple[SandboxFile, ...] = ()
    removed: tuple[str, ...] = ()
    skipped: tuple[SkippedFile, ...] = ()
    number: int = 0


@dataclass
class _Walk:
    files: dict[str, Version] = field(default_factory=dict)
    skipped: list[SkippedFile] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    """Folders, the whole one as "", and entries of them that could not be read."""

    def failed(self, path: bytes, error: OSError) -> None:
        if error.errno not in VANISHED:
            self.unread.append(path.decode("utf-8", "replace"))

    def is_unread(self, name: str) -> bool:
        return any(not path or name == path or name.startswith(f"{path}/") for path in self.unread)

    def skip(self, name: str, reason: str) -> None:
        if len(self.skipped) < MAX_SKIPPED:
            self.skipped.append(SkippedFile(name, reason))


class Folder:
    """`path` is where it is on this machine, `owner` the user of the code, None for the server's own."""

    def __init__(self, path: Path, owner: int | None) -> None:
        self.path = path
        self._owner = owner
        self._known: dict[str, tuple[Version, SandboxFile]] = {}
        self._aliases: set[str] = set()
        # Names of files that changed or were removed and are not stored yet, with the number of their newest change.
        self._due: dict[str, int] = {}
        self._number = 0

    def give_to_owner(self) -> None:
        if self._owner is not None:
            os.chown(self.path, self._owner, self._owner)

    def files(self) -> tuple[SandboxFile, ...]:
        """Those of the last `changes` and those that were put since."""
        return tuple(file for _, file in self._known.values())

    def used(self) -> FolderUse:
        size, count, is_hidden = 0, 0, False
        for state in _all(self.path):
            if state is None:
                is_hidden = True
            else:
                size, count = size + _bytes_of(state), count + 1
        return FolderUse(size, count, is_hidden)

    def put(self, content: Path, file: SandboxFile, alias: str | None) -> None:
        """Take the file at `content`, which is on the same file system. Raises `SandboxFileRefused`."""
        parts = _checked(file.name)
        if self._owner is not None:
            os.chown(content, self._owner, self._owner)
        with _opened(self.path) as root:
            try:
                with self._folder_of(root, parts[:-1]) as parent:
                    os.rename(content, parts[-1], dst_dir_fd=parent)
                version = _version_of(root, file.name)
            except (OSError, NotCollected) as error:
                raise SandboxFileRefused(f"The file {file.name} cannot be stored in the session.") from error
            self._known[file.name] = (version, file)
            self._due.pop(file.name, None)
            if alias and alias != file.name:
                self._link(root, _checked(alias), file.name)

    def changes(self) -> Changes:
        """What is different since the last changes that were stored, but for files that were put."""
        with _opened(self.path) as root:
            walk = self._walked(root)
            removed = {name for name in self._known.keys() - walk.files.keys() if not walk.is_unread(name)}
            changed = {file.name for file in self._read(root, walk)}
        self._number += 1
        self._due |= dict.fromkeys(changed | removed, self._number)
        for name in removed:
            del self._known[name]
        return self._all_due(walk)

    def stored(self, changes: Changes) -> None:
        """Leave these out of later `changes`, but for files that have changed again."""
        for name in (*(file.name for file in changes.changed), *changes.removed):
            if self._due.get(name, changes.number + 1) <= changes.number:
                del self._due[name]

    def _all_due(self, walk: _Walk) -> Changes:
        due = [(name, walk.files.get(name), self._known.get(name)) for name in sorted(self._due)]
        changed = tuple(known[1] for _, version, known in due if known and known[0] == version)
        removed = tuple(name for name, version, known in due if not version and not known and not walk.is_unread(name))
        return Changes(changed, removed, tuple(walk.skipped), self._number)

    def open(self, name: str) -> int:
        """A descriptor to read the file by. Raises `SandboxFileMissing`."""
        try:
            with _opened(self.path) as root:
                return open_file_beneath(root, name)
        except (OSError, NotCollected, ValueError) as error:
            raise SandboxFileMissing(f"The session has no file {name} that can be read.") from error

    def move_to(self, path: Path) -> None:
        """Take all that is in it to the empty folder `path`. No code runs in either."""
        for entry in self.path.iterdir():
            entry.rename(path / entry.name)
        self.path.rmdir()
        self.path = path

    def _walked(self, root: int) -> _Walk:
        walk = _Walk()
        pending = [b""]
        while pending:
            at = pending.pop()
            try:
                with _opened_beneath(root, at or b".") as folder:
                    for raw in os.listdir(folder):  # noqa: PTH208
                        path = os.path.join(at, os.fsencode(raw))  # noqa: PTH118
                        if self._is_folder(folder, os.fsencode(raw), path, walk):
                            pending.append(path)
            except OSError as error:
                walk.failed(at, error)
        return walk

    def _is_folder(self, folder: int, name: bytes, path: bytes, walk: _Walk) -> bool:
        shown = path.decode("utf-8", "replace")
        try:
            state = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            walk.failed(path, error)
            return False
        match stat.S_IFMT(state.st_mode):
            case stat.S_IFDIR:
                if is_near := path.count(b"/") < MAX_FOLDERS:
                    return is_near
                walk.skip(shown, "it is in too many folders")
            case stat.S_IFLNK if shown in self._aliases:
                pass
            case stat.S_IFREG if not _is_readable_name(path):
                walk.skip(shown, "its name is not UTF-8, or has control characters")
            case stat.S_IFREG if state.st_nlink != 1:
                walk.skip(shown, "it has several names")
            case stat.S_IFREG:
                walk.files[shown] = _version(state)
            case _:
                walk.skip(shown, "it is no regular file")
        return False

    def _read(self, root: int, walk: _Walk) -> Iterator[SandboxFile]:
        for name, version in sorted(walk.files.items()):
            known = self._known.get(name)
            if known and known[0] == version:
                continue
            try:
                descriptor = open_file_beneath(root, name)
            except (OSError, NotCollected) as error:
                walk.skip(name, str(error))
                continue
            with os.fdopen(descriptor, "rb") as content:
                file = _hashed(name, content.fileno())
            self._known[name] = (version, file)
            if not known or known[1] != file:
                yield file

    @contextlib.contextmanager
    def _folder_of(self, root: int, names: list[str]) -> Iterator[int]:
        for depth in range(len(names)):
            path = "/".join(names[: depth + 1])
            with _opened_beneath(root, "/".join(names[:depth]) or ".") as parent, contextlib.suppress(FileExistsError):
                os.mkdir(names[depth], 0o755, dir_fd=parent)
                if self._owner is not None:
                    with _opened_beneath(root, path) as made:
                        os.fchown(made, self._owner, self._owner)
        with _opened_beneath(root, "/".join(names) or ".") as folder:
            yield folder

    def _link(self, root: int, alias: list[str], target: str) -> None:
        if len(alias) != 1:
            raise SandboxFileRefused("A second name of a file has no folders in it.")
        with contextlib.suppress(FileExistsError):
            os.symlink(target, alias[0], dir_fd=root)
            self._aliases.add(alias[0])


def _checked(name: str) -> list[str]:
    if not is_file_name(name):
        raise SandboxFileRefused(f"{name!r} is no name for a file in a session.")
    return name.split("/")


def _is_readable_name(name: bytes) -> bool:
    try:
        return is_file_name(name.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _version(state: os.stat_result) -> Version:
    return Version(state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def _version_of(root: int, name: str) -> Version:
    descriptor = open_file_beneath(root, name)
    try:
        return _version(os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _hashed(name: str, descriptor: int) -> SandboxFile:
    digest, size = hashlib.sha256(), 0
    while part := os.read(descriptor, READ_BYTES):
        digest.update(part)
        size += len(part)
    return SandboxFile(name, size, digest.hexdigest())


def _bytes_of(state: os.stat_result) -> int:
    # Holes of a file take no blocks, but they are read, hashed and stored like its other bytes.
    return max(state.st_blocks * 512, state.st_size if stat.S_ISREG(state.st_mode) else 0)


def _all(path: Path) -> Iterator[os.stat_result | None]:
    """None for each folder whose content the code hides."""
    pending = [b"."]
    while pending:
        at = pending.pop()
        try:
            with _opened(path) as root, _opened_beneath(root, at) as folder:
                yield from _states(folder, at, pending)
        except OSError as error:
            if error.errno in HIDDEN:
                yield None


def _states(folder: int, at: bytes, pending: list[bytes]) -> Iterator[os.stat_result]:
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                state = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(state.st_mode):
                    pending.append(os.path.join(at, os.fsencode(entry.name)))  # noqa: PTH118
                yield state


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = open_folder(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened_beneath(root: int, name: str | bytes) -> Iterator[int]:
    descriptor = open_beneath(root, name, FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
