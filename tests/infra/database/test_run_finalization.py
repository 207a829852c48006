"""Which finalizations of a run take effect."""

import pytest
from sqlalchemy import update

from infra.database import run_finalization
from infra.database.engine import Database
from infra.database.run_finalization import Partial
from infra.database.run_tables import RUNS
from models.answers import Answer
from models.finalization import Finalization
from models.runs import RunStatus
from models.step_events import STREAM_START
from models.turn_attempts import TurnAttempt
from tests.database import writing
from tests.infra.database.conftest import Stored


@pytest.mark.parametrize(("turn", "status"), [(0, RunStatus.IN_PROGRESS), (1, RunStatus.FAILED)])
def test_an_attempt_finalizes_its_run_only_while_the_run_is_at_its_turn(
    database: Database, stored: Stored, turn: int, status: RunStatus
) -> None:
    attempt = TurnAttempt("an-execution", turn, attempt=1, fencing_token=0, started_at_ms=0)
    failure = Finalization(stored.run_id, RunStatus.FAILED, by="an-execution")
    with writing(database) as connection:
        this = RUNS.c.id == stored.run_id
        connection.execute(update(RUNS).where(this).values(status=RunStatus.IN_PROGRESS, turn=1))

    with writing(database) as connection:
        finalized = run_finalization.finalize(connection, failure, STREAM_START, Partial(attempt, Answer()))

    assert finalized.state.status is status


@pytest.mark.parametrize(("fencing_token", "status"), [(6, RunStatus.IN_PROGRESS), (7, RunStatus.FAILED)])
def test_a_run_is_finalized_only_while_its_newest_attempt_is_the_fenced_one(
    database: Database, stored: Stored, fencing_token: int, status: RunStatus
) -> None:
    failure = Finalization(stored.run_id, RunStatus.FAILED, by="an-execution")
    with writing(database) as connection:
        this = RUNS.c.id == stored.run_id
        connection.execute(update(RUNS).where(this).values(status=RunStatus.IN_PROGRESS, newest_attempt=7))

    with writing(database) as connection:
        finalized = run_finalization.finalize(connection, failure, fencing_token=fencing_token)

    assert finalized.state.status is status
