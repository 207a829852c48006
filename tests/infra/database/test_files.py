"""Rows of files."""

import pytest

from infra.clock import now_seconds
from infra.database import doomed_objects, files
from infra.database.engine import Database
from infra.database.files import StoredFile
from models.errors import NotFound
from models.file_errors import FileNotFound
from models.files import Purpose
from models.ids import new_file_id
from models.lists import Order, PageRequest
from models.stored_objects import KeyPrefix, object_key
from tests.database import writing

PROJECT = "files"
OTHER = "another"


def stored(purpose: Purpose = Purpose.ASSISTANTS, expires_after_seconds: int | None = None) -> StoredFile:
    return StoredFile(new_file_id(), "notes.md", purpose, 12, expires_after_seconds)


def test_finds_only_files_of_the_project(database: Database) -> None:
    mine, theirs = stored(), stored()

    with writing(database) as connection:
        files.create(connection, PROJECT, mine)
        files.create(connection, OTHER, theirs)
        found = files.find(connection, PROJECT, [mine.id, theirs.id, "file-x"])

        assert set(found) == {mine.id}
        assert found[mine.id].filename == "notes.md"
        assert files.find(connection, PROJECT, []) == {}
        with pytest.raises(FileNotFound):
            files.load(connection, PROJECT, theirs.id)
        with pytest.raises(FileNotFound):
            files.remove(connection, PROJECT, theirs.id)


def test_lists_files_of_one_purpose(database: Database) -> None:
    project = "purposes"
    with writing(database) as connection:
        ids = [files.create(connection, project, stored()).id for _ in range(3)]
        vision = files.create(connection, project, stored(Purpose.VISION)).id
        files.remove(connection, project, ids[1])

        listed = files.list_page(connection, project, PageRequest(10_000, Order.ASC))
        assistants = files.list_page(connection, project, PageRequest(1, Order.DESC), Purpose.ASSISTANTS)
        after_deleted = files.list_page(connection, project, PageRequest(10, Order.ASC, after=ids[1]))

        assert [each.id for each in listed.data] == [ids[0], ids[2], vision]
        assert ([each.id for each in assistants.data], assistants.has_more) == ([ids[2]], True)
        assert [each.id for each in after_deleted.data] == [ids[2], vision]
        with pytest.raises(NotFound):
            files.list_page(connection, OTHER, PageRequest(10, after=ids[0]))


def test_removed_files_leave_their_objects_to_be_deleted(database: Database) -> None:
    kept, removed = stored(), stored()

    with writing(database) as connection:
        for each in (kept, removed):
            files.create(connection, PROJECT, each)
        key = files.remove(connection, PROJECT, removed.id)
        doomed = doomed_objects.oldest(connection, now_seconds(), 100)
        doomed_objects.add(connection, PROJECT, [key])
        doomed_objects.remove(connection, [key])

        assert key == object_key(KeyPrefix.FILE, removed.id)
        assert key in doomed
        assert object_key(KeyPrefix.FILE, kept.id) not in doomed
        assert key not in doomed_objects.oldest(connection, now_seconds(), 100)
        assert files.known(connection, [kept.id, removed.id]) == {kept.id}


def test_removes_expired_files_alone(database: Database) -> None:
    expired, later, never = stored(expires_after_seconds=0), stored(expires_after_seconds=3600), stored()

    with writing(database) as connection:
        for each in (expired, later, never):
            files.create(connection, PROJECT, each)

        assert files.remove_expired(connection, 100) == [expired.id]
        assert files.known(connection, [expired.id, later.id, never.id]) == {later.id, never.id}


def test_marks_a_lost_file_once(database: Database) -> None:
    lost = stored()

    with writing(database) as connection:
        created = files.create(connection, PROJECT, lost)
        assert (created.status, created.status_details) == ("processed", None)

        assert files.mark_lost(connection, lost.id)
        assert not files.mark_lost(connection, lost.id)

        marked = files.load(connection, PROJECT, lost.id)
        assert (marked.status, marked.status_details) == ("error", files.CONTENT_LOST)
        assert lost.id not in [row.id for row in files.page_after(connection, 0, 10_000)]
