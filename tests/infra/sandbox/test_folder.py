"""The folder of a session, without the code that writes to it."""

import os
from pathlib import Path

import pytest

from infra.sandbox.folder import Changes, Folder

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

    size, count = folder.used()

    assert (size, count) == (100 * MEGABYTE, 1)
