"""The data folder tells other programs where the `holdfast up` that holds it serves."""

from pathlib import Path

import pytest

from cli.data_folder import ADDRESS_NAME, DataFolderUnusable, hold_data_folder, serving_address

URL = "http://127.0.0.1:8001"


def test_the_address_is_found_while_the_folder_is_held(tmp_path: Path) -> None:
    with hold_data_folder(tmp_path) as folder:
        before = serving_address(tmp_path)
        folder.note_address(URL)
        meanwhile = [serving_address(tmp_path), serving_address(tmp_path)]

    assert (before, meanwhile, serving_address(tmp_path)) == (None, [URL, URL], None)
    assert {file.name for file in tmp_path.iterdir()} == {"lock"}


def test_the_address_of_a_killed_program_is_not_taken(tmp_path: Path) -> None:
    with hold_data_folder(tmp_path):
        pass
    (tmp_path / ADDRESS_NAME).write_text(URL)

    nobody_runs = serving_address(tmp_path)
    with hold_data_folder(tmp_path):
        successor_starts = serving_address(tmp_path)

    assert (nobody_runs, successor_starts) == (None, None)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe"])
def test_an_address_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    with hold_data_folder(tmp_path):
        (tmp_path / ADDRESS_NAME).write_bytes(content)

        assert serving_address(tmp_path) is None


def test_a_folder_that_is_not_there_has_no_address(tmp_path: Path) -> None:
    assert serving_address(tmp_path / "missing") is None


def test_an_address_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    with hold_data_folder(tmp_path) as folder:
        (tmp_path / ADDRESS_NAME).with_suffix(".partial").mkdir()

        with pytest.raises(DataFolderUnusable, match="cannot be used: Is a directory"):
            folder.note_address(URL)
