"""The workflows that are looked into for what a gone worker holds."""

import pytest
from sqlalchemy import update

from infra.clock import now_ms
from infra.database import workflows_at_work
from infra.database.engine import Database
from infra.database.run_tables import RUNS
from infra.database.workflows_at_work import JUST_NOW_MS
from models.runs import RunStatus
from tests.database import reading, writing
from tests.infra.database.conftest import PROJECT, Stored
from tests.infra.database.crawls import begin
from tests.infra.database.test_vector_stores import batch, new_file, new_store

JUST_NOW, LONG_AGO = 0, 2 * JUST_NOW_MS


def at_work(database: Database) -> list[str]:
    with reading(database) as connection:
        return workflows_at_work.ids(connection)


@pytest.mark.parametrize(
    ("status", "changed_ago", "is_found"),
    [
        (RunStatus.IN_PROGRESS, LONG_AGO, True),
        (RunStatus.REQUIRES_ACTION, JUST_NOW, True),
        (RunStatus.REQUIRES_ACTION, LONG_AGO, False),
        (RunStatus.COMPLETED, JUST_NOW, True),
        (RunStatus.COMPLETED, LONG_AGO, False),
    ],
)
def test_run_is_looked_into_while_it_works_and_just_after(
    database: Database, stored: Stored, status: RunStatus, changed_ago: int, is_found: bool
) -> None:
    with writing(database) as connection:
        values = {"status": status.value, "status_changed_at": now_ms() - changed_ago}
        connection.execute(update(RUNS).where(RUNS.c.id == stored.run_id).values(**values))

    assert at_work(database).count(stored.run_id) == is_found


def test_crawls_and_batches_at_work_are_looked_into(database: Database) -> None:
    with writing(database) as connection:
        crawl_id = begin(connection, PROJECT).id
        store_id, files = new_store(connection), [new_file(connection) for _ in range(2)]
        batch_id = batch(connection, store_id, *files).id

    found = at_work(database)

    assert {crawl_id, f"ingest/{batch_id}"} <= set(found)
    assert sum(workflow_id.startswith(f"ingest/{store_id}/") for workflow_id in found) == len(files)
    assert len(found) == len(set(found))
