"""The folder of a session, without the code that writes to it."""

import os
from pathlib import Path

import pytest

from infra.sandbox.folder import Folder

MEGABYTE = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "data"
    path.mkdir()
    return Folder(path, None)


def test_holes_of_files_count_as_bytes(folder: Folder) -> None:
    (folder.path / "sparse").touch()
    os.truncate(folder.path / "sparse", 100 * MEGABYTE)

    size, count = folder.used()

    assert (size, count) == (100 * MEGABYTE, 1)
