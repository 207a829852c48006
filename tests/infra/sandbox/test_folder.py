"""The folder of a session, without the code that writes to it."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.sandbox.folder import Changes, Folder
from infra.sandbox.limits import FolderUse
from infra.sandbox.removed_folder import remove_folder

MEGABYTE = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "data"
    path.mkdir()
    return Folder(path, None)


def names(changes: Changes) -> tuple[list[str], tuple[str, ...]]:
    return [file.name for file in changes.changed], changes.removed


def test_changes_are_due_until_they_are_stored(folder: Folder) -> None:
    (folder.path / "a").write_text("1")
    first = folder.changes()
    (folder.path / "b").write_text("1")
    second = folder.changes()
    (folder.path / "a").unlink()
    third = folder.changes()

    folder.stored(second)
    rest = folder.changes()
    folder.stored(third)

    assert [names(each) for each in (first, second, third)] == [(["a"], ()), (["a", "b"], ()), (["b"], ("a",))]
    assert (names(rest), names(folder.changes())) == (([], ("a",)), ([], ()))


def test_holes_of_files_count_as_bytes(folder: Folder) -> None:
    (folder.path / "sparse").touch()
    os.truncate(folder.path / "sparse", 100 * MEGABYTE)

    assert folder.used() == FolderUse(100 * MEGABYTE, 1)


DEPTH = 1_500
"""More than Python nests calls, and longer a path than the kernel takes."""


@pytest.fixture
def deep(folder: Folder) -> Iterator[Folder]:
    """With folders in folders, and a file in the last of them."""
    at = os.open(folder.path, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir("deep", dir_fd=at)
        below = os.open("deep", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
    yield folder
    # pytest's own removal of its folders fails over this one.
    subprocess.run(["rm", "-rf", str(folder.path)], check=True)


def test_folders_too_deep_to_be_counted_are_said(deep: Folder) -> None:
    used = deep.used()

    assert used.is_hidden
    assert 800 < used.count < DEPTH


def test_folders_of_any_depth_are_removed(deep: Folder) -> None:
    (deep.path / "link").symlink_to(deep.path.parent)

    remove_folder(deep.path)

    assert (deep.path.exists(), deep.path.parent.exists()) == (False, True)


@contextmanager
def descriptors(more: int) -> Iterator[None]:
    """Only so many files can be opened while the block runs."""
    opened = [os.open("/", os.O_RDONLY) for _ in range(more + 1)]
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    for each in opened:
        os.close(each)
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened[-1], before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_files_that_cannot_be_read_are_not_removed(folder: Folder) -> None:
    (folder.path / "out").mkdir()
    for name in ("gone", "kept", "out/kept"):
        (folder.path / name).write_text("1")
    folder.stored(folder.changes())
    (folder.path / "gone").unlink()

    with descriptors(1):
        unread = folder.changes()

    assert names(unread) == ([], ())
    assert names(folder.changes()) == ([], ("gone",))


def test_folder_in_place_of_which_is_a_file_is_gone(folder: Folder) -> None:
    (folder.path / "out").mkdir()
    (folder.path / "out/a").write_text("1")
    folder.stored(folder.changes())
    (folder.path / "out/a").unlink()
    (folder.path / "out").rmdir()
    (folder.path / "out").write_text("2")

    assert names(folder.changes()) == (["out"], ("out/a",))
